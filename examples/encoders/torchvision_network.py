#!/usr/bin/env python3
"""Any of torchvision's classifiers as an encoder: the map before it is averaged.

    pip install torch==2.11.0 torchvision==0.26.0
    python3 examples/encoders/torchvision_network.py convnext.pt --network convnext_tiny

Its weights are torchvision's for ImageNet, which it downloads; or those of a state dict of yours
(`--weights FILE`)."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torchvision
from export import IMAGENET, export
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names


class Map(torch.nn.Module):
    """The output (B, C, h, w) of one of the network's nodes."""

    def __init__(self, network: torch.nn.Module, node: str) -> None:
        super().__init__()
        self.network = create_feature_extractor(network, {node: "map"})

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images)["map"]


def last_map(network: torch.nn.Module, size: int) -> str:
    """The last node whose output for an image has more than one cell."""
    nodes = get_graph_node_names(network.eval())[1]
    with torch.no_grad():
        outputs = create_feature_extractor(network, nodes)(torch.zeros(1, 3, size, size))
    return [node for node in nodes if outputs[node].dim() == 4 and outputs[node].shape[2] > 1][-1]


def main() -> None:
    arguments = argparse.ArgumentParser(description="Exports one of torchvision's networks")
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--network", default="convnext_tiny", help="a name in torchvision.models")
    arguments.add_argument("--weights", type=Path, help="a state dict [default: torchvision's, downloaded]")
    arguments.add_argument("--size", type=int, default=256, help="dataset.image_size")
    arguments.add_argument("--node", help="whose output is the map [default: the last map]")
    arguments = arguments.parse_args()
    network = torchvision.models.get_model(arguments.network, weights=None if arguments.weights else "DEFAULT")
    if arguments.weights:
        network.load_state_dict(torch.load(arguments.weights, weights_only=True))
    node = arguments.node or last_map(network, arguments.size)
    export(Map(network, node), arguments.file, arguments.size, *IMAGENET)


if __name__ == "__main__":
    main()
