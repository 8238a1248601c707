"""What the contract asks of each kind of artifact: its files, and the counts in its manifest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from . import tables
from ._json import loads
from .errors import Error
from .manifest import Manifest
from .shard import Shard

#: The files that an artifact of each kind must have, beside shards.
FILES = {
    "dataset": ("images.parquet", "captions.parquet", "objects.parquet", "rejected.parquet"),
    "vocabulary": ("vocab.json", "encoded.parquet"),
    "features": ("encoder.json",),
    "evaluation": ("results.json", "scores.json", "per_image.parquet"),
}


#: Kinds that name the data set that they were made from as an input.
OF_A_DATASET = ("vocabulary", "features")


def check(manifest: Manifest) -> None:
    """Refuses an artifact that lacks a file or an input."""
    if manifest.kind in OF_A_DATASET and "dataset" not in manifest.inputs:
        raise Error(f"a {manifest.kind} artifact needs the input dataset, inputs={{'dataset': …}}")
    for name in FILES.get(manifest.kind, ()):
        if manifest.file(name) is None:
            raise Error(f"a {manifest.kind} artifact needs {name}, which was not written")


def counts(manifest: Manifest, folder: Path) -> dict[str, int]:
    """The counts that follow from the files in `folder`."""
    find = {
        "dataset": _dataset,
        "vocabulary": _vocabulary,
        "features": _features,
        "evaluation": _evaluation,
    }.get(manifest.kind)
    return find(manifest, folder) if find else {}


def _shards(manifest: Manifest, folder: Path) -> list[Shard]:
    names = [file.name for file in manifest.files if file.name.startswith("shards/")]
    shards = [Shard(folder / name) for name in names]
    for name, shard in zip(names, shards):
        if (shard.shape, shard.dtype) != (shards[0].shape, shards[0].dtype):
            raise Error(
                f"{name} has {shard.dtype} {list(shard.shape)}, but"
                f" {names[0]} {shards[0].dtype} {list(shards[0].shape)}"
            )
    return shards


def _dataset(manifest: Manifest, folder: Path) -> dict[str, int]:
    rows = {file.name: file.rows or 0 for file in manifest.files}
    reasons = Counter(tables.read(folder / "rejected.parquet")["reason"].to_pylist())
    damaged = reasons.pop("damaged", 0)  # of images that are used all the same
    found = {
        "images": rows["images.parquet"],
        "captions": rows["captions.parquet"],
        "objects": rows["objects.parquet"],
        "rejected": sum(reasons.values()),
        **{f"rejected.{reason}": n for reason, n in reasons.items()},
        **({"damaged": damaged} if damaged else {}),
    }
    for shard in _shards(manifest, folder)[:1]:
        if shard.dtype != "u8" or len(shard.shape) != 3 or shard.shape[0] != 3:
            raise Error(f"images are u8 [3, height, width], not {shard.dtype} {list(shard.shape)}")
        _, found["image_height"], found["image_width"] = shard.shape
    return found


def _features(manifest: Manifest, folder: Path) -> dict[str, int]:
    shards = _shards(manifest, folder)
    found = {"images": sum(map(len, shards))}
    for shard in shards[:1]:
        if shard.dtype == "u8" or len(shard.shape) != 2:
            raise Error(
                f"features are f16 or f32 [cells, channels], not {shard.dtype} {list(shard.shape)}"
            )
        found["channels"] = shard.shape[1]
    grid = loads((folder / "encoder.json").read_bytes()).get("grid")
    if isinstance(grid, list) and len(grid) == 2:
        found["grid_height"], found["grid_width"] = grid
        for shard in shards[:1]:
            if grid[0] * grid[1] != shard.shape[0]:
                raise Error(f"encoder.json has a grid of {grid}, the shards {shard.shape[0]} cells")
    return found


def _vocabulary(manifest: Manifest, folder: Path) -> dict[str, int]:
    content = loads((folder / "vocab.json").read_bytes())
    unk = content["specials"]["<unk>"]
    found: Counter[str] = Counter(words=len(content["words"]))
    captions = tables.read(folder / "encoded.parquet")
    for split, tokens in zip(captions["split"].to_pylist(), captions["tokens"].to_pylist()):
        found["captions"] += 1
        found[f"captions_{split}"] += 1
        found[f"tokens_{split}"] += len(tokens) - 2
        found[f"oov_{split}"] += tokens.count(unk)
    return dict(found)


def _evaluation(manifest: Manifest, folder: Path) -> dict[str, int]:
    rows = tables.read(folder / "per_image.parquet")
    return {
        "images": len(set(rows["image_id"].to_pylist())),
        "beams": len(set(rows["beam"].to_pylist())),
    }
