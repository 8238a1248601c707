"""What several tests need."""

from __future__ import annotations

import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any

import attend
import numpy as np

PRODUCER = ("test", "1")


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attend-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "artifact"

    def refused(self, error: type, words: str, work: Any, /, *arguments: Any, **named: Any) -> None:
        with self.assertRaises(error) as caught:
            work(*arguments, **named)
        self.assertIn(words, str(caught.exception))


def features(path: Path, value: float = 1.0, rows: int = 3, **named: Any) -> None:
    """Writes a small features artifact."""
    named.setdefault("inputs", {"dataset": attend.Input("dataset", "0" * 64)})
    with attend.artifact("features", path, PRODUCER, **named) as out:
        encoder = {"kind": "foreign", "name": "x", "image_size": [8, 8], "grid": [2, 2]}
        out.json("encoder.json", {**encoder, "channels": 3})
        with out.shard("train-00000", "features", (4, 3), "f16") as shard:
            for n in range(rows):
                shard.append(n, np.full((4, 3), value, np.float16))


def dataset(path: Path, captions: list[str], size: int = 2) -> None:
    """Writes a data set of one image, which has all captions."""
    with attend.artifact("dataset", path, PRODUCER) as out:
        with out.shard("train-00000", "image", (3, size, size), "u8") as shard:
            shard.append(1, np.zeros((3, size, size), np.uint8))
        image = dict(image_id=1, split="train", file_name="a.jpg", width=9, height=8, row=0)
        out.table("images.parquet", [{**image, "shard": shard.name}])
        rows = [dict(caption_id=n, image_id=1, split="train") for n in range(len(captions))]
        rows = [{**row, "caption": text} for row, text in zip(rows, captions)]
        out.table("captions.parquet", rows)
        out.table("objects.parquet", [])
        out.table("rejected.parquet", [])
