#!/usr/bin/env python3
"""A vision transformer of timm's (Dosovitskiy et al. 2021), such as CLIP's or DINO's, as an encoder:
its tokens without the class token.

    pip install torch==2.11.0 timm
    python3 examples/encoders/vit.py clip.pt --network vit_base_patch16_clip_224.openai

timm downloads its weights from the Hugging Face hub, or takes those of a file of yours
(`--weights FILE`)."""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch
from export import export


class Tokens(torch.nn.Module):
    """All tokens of the last block, (B, N, C)."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.forward_features(images)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Exports one of timm's vision transformers")
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--network", default="vit_base_patch16_clip_224.openai", help="as in timm.list_models()")
    arguments.add_argument("--weights", type=Path, help="a file of timm's [default: downloaded]")
    arguments.add_argument("--random", action="store_true", help="without weights, to try it")
    arguments.add_argument("--size", type=int, default=224, help="dataset.image_size")
    arguments = arguments.parse_args()
    network = timm.create_model(
        arguments.network,
        pretrained=not (arguments.weights or arguments.random),
        checkpoint_path=str(arguments.weights or ""),
        img_size=arguments.size,
        num_classes=0,
    )
    data = timm.data.resolve_model_data_config(network)
    export(Tokens(network), arguments.file, arguments.size, data["mean"], data["std"], network.num_prefix_tokens)


if __name__ == "__main__":
    main()
