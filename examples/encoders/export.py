"""Writes a network as TorchScript, and the section of a config that takes it as the encoder."""

from __future__ import annotations

from pathlib import Path

import torch

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def export(network: torch.nn.Module, file: Path, size: int, mean, std, tokens: int | None = None) -> None:
    """`network` turns normalised images (B, 3, size, size) into a map (B, C, h, w), or, if `tokens`
    is given, into tokens (B, N, C), of which so many stand before the first cell."""
    network.eval()
    with torch.no_grad():
        module = torch.jit.trace(network, torch.randn(2, 3, size, size))
        # Folds BatchNorm into the convolutions.
        module = torch.jit.freeze(module)
        images = torch.randn(3, 3, size, size)  # a batch of another size than the traced one
        expected = network(images)
        torch.testing.assert_close(module(images), expected, atol=1e-3, rtol=1e-3)
    module.save(file)
    print("[torchscript]")
    print(f'file = "{file.resolve()}"')
    print(f"mean = {[round(float(n), 9) for n in mean]}")
    print(f"std = {[round(float(n), 9) for n in std]}")
    if tokens is not None:
        print('output = "tokens"')
        print(f"skip = {tokens}")
    print(f"# dataset.image_size = {size}; the output for one image is {list(expected.shape[1:])}")
