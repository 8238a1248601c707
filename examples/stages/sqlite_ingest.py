#!/usr/bin/env python3
"""A data set from a SQLite file with the tables `images (id, split, name, data)` and `captions
(id, image_id, caption)`; `data` is a photograph's file. `pip install attend-artifacts pillow`"""

from __future__ import annotations

import io
import sqlite3
from itertools import islice

import attend
import numpy as np
from PIL import Image

PARAMETERS = {"sqlite": {"file": "", "image_size": 256, "shard_size": 1024}}
SPLITS = "SELECT DISTINCT split FROM images ORDER BY split <> 'train', split <> 'val', split"
IMAGES = "SELECT id, name, data FROM images WHERE split = ? ORDER BY id"
CAPTIONS = "SELECT id, image_id, caption FROM captions ORDER BY id"


@attend.stage(
    "sqlite-ingest",
    "1",
    about="Reads photographs and captions from a SQLite file",
    output="dataset",
    parameters=PARAMETERS,
    files={"sqlite.file": "sqlite"},
)
def main(stage: attend.Stage) -> None:
    own = stage.config["sqlite"]
    try:
        with sqlite3.connect(f"file:{own['file']}?mode=ro", uri=True) as database:
            ingest(database, own["image_size"], own["shard_size"], stage.out)
    except sqlite3.Error as why:
        raise attend.BadInput(f"{own['file']}: {why}") from None


def ingest(database: sqlite3.Connection, size: int, rows: int, out: attend.Staging) -> None:
    images, captions, rejected = [], [], []
    for (split,) in database.execute(SPLITS).fetchall():
        good = decoded(database.execute(IMAGES, (split,)), size, rejected)
        chunks = iter(lambda good=good: list(islice(good, rows)), [])
        for number, chunk in enumerate(chunks):
            name = f"{split}-{number:05}"
            with out.shard(name, "image", (3, size, size), "u8") as shard:
                for row, (image, pixels) in enumerate(chunk):
                    shard.append(image["image_id"], pixels)
                    images.append({**image, "split": split, "shard": shard.name, "row": row})
    place = {image["image_id"]: n for n, image in enumerate(images)}
    for n, image, text in database.execute(CAPTIONS):
        if image in place:
            split = images[place[image]]["split"]
            captions.append(dict(caption_id=n, image_id=image, split=split, caption=text))
        else:
            rejected.append(attend.left_out("caption", n, image, "image-rejected"))
    captions.sort(key=lambda caption: place[caption["image_id"]])
    out.table("images.parquet", images)
    out.table("captions.parquet", captions)
    out.table("objects.parquet", [])
    out.table("rejected.parquet", rejected)


def decoded(rows, size: int, rejected: list):
    """The images that can be used, each with its pixels uint8 [3, size, size]."""
    for n, name, data in rows:
        try:
            image = Image.open(io.BytesIO(data)).convert("RGB")
        except (OSError, Image.DecompressionBombError) as why:
            rejected.append(attend.left_out("image", n, n, "corrupt", str(why), name))
            continue
        about = dict(image_id=n, file_name=name, width=image.width, height=image.height)
        small = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        yield about, small.transpose(2, 0, 1)


if __name__ == "__main__":
    main()
