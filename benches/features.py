"""Compare attend-features with torchvision's encoder in PyTorch.

    cargo xtask bench features      # makes the environment (5 GB), builds, runs this

Both run ResNet-101 with random weights, without pooling and classifier, over the same
uint8 images of 256 x 256, on as many threads as there are cores. PyTorch runs in
evaluation and inference mode, in batches of 16. Ours is the whole program, shards
written; its start-up (loading and folding the weights) is measured on one image and
subtracted. The two take turns; the script prints medians. It also prints which share of
the machine's matrix rate each reaches: the multiplications and additions of the
convolutions, compared with the rate of a product of two large matrices in the same run.
Exit code 1 if a feature map differs by more than 1e-3 of its largest value.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import pyarrow
import torch
import torchvision
from safetensors.torch import save_file

SIZE = 256
MEAN, STD = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def images(root, program, count):
    """A dataset artifact of noise with some structure, made by attend-ingest."""
    from PIL import Image

    generator = numpy.random.default_rng(1)
    listed = []
    (root / "images").mkdir(parents=True)
    for i in range(count):
        coarse = generator.integers(0, 256, (16, 16, 3), dtype=numpy.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE), Image.BICUBIC).save(root / f"images/{i}.png")
        listed.append({"filename": f"images/{i}.png", "imgid": i, "split": "train", "sentences": [{"raw": "noise", "sentid": i}]})
    (root / "dataset.json").write_text(json.dumps({"images": listed}))
    command = [program, "--set", f"dataset.root={root}", "--set", "dataset.annotations=dataset.json", "--output", root / "dataset"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    table = pyarrow.ipc.open_file(root / "dataset/shards/train-00000.arrow").read_all()
    return torch.from_numpy(table["image"].combine_chunks().to_numpy_ndarray().copy())


def resnet101():
    """torchvision's, with random weights under which the maps neither vanish nor explode."""
    whole = torchvision.models.resnet101(weights=None).eval()
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.3, 0.6)
    return whole


def ours(program, root, weights, output):
    command = [program, "--input", f"dataset={root / 'dataset'}", "--output", output, "--force"]
    for setting in ("encoder.arch=resnet101", f"encoder.weights={weights}", "features.dtype=f32", "features.batch=16", "features.device=cpu"):
        command += ["--set", setting]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def flops(encoder):
    """Multiplications plus additions of the convolutions for one image."""
    total = 0

    def count(module, _, output):
        nonlocal total
        total += 2 * output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    with torch.inference_mode():
        encoder(torch.zeros(1, 3, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    return total


def matrix_rate():
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    a @ b
    begun = time.perf_counter()
    for _ in range(8):
        a @ b
    return 8 * 2 * 2048**3 / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ingest", help="path of attend-ingest")
    parser.add_argument("features", help="path of attend-features")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(1)
    whole = resnet101()
    encoder = torch.nn.Sequential(*list(whole.children())[:-2]).eval()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        weights = folder / "resnet101.safetensors"
        save_file({name: value.contiguous() for name, value in whole.state_dict().items()}, weights)
        pixels = images(folder / "all", args.ingest, args.images)
        images(folder / "one", args.ingest, 1)

        def pytorch():
            begun = time.perf_counter()
            with torch.inference_mode():
                maps = [encoder((batch.float() / 255 - MEAN) / STD) for batch in pixels.split(16)]
            return time.perf_counter() - begun, maps

        pytorch()
        rounds = []
        for _ in range(args.rounds):
            theirs, maps = pytorch()
            start = ours(args.features, folder / "one", weights, folder / "first")
            rounds.append((args.images / theirs, (args.images - 1) / (ours(args.features, folder / "all", weights, folder / "maps") - start), matrix_rate()))
        table = pyarrow.ipc.open_file(folder / "maps/shards/train-00000.arrow").read_all()
        mine = torch.from_numpy(table["features"].combine_chunks().to_numpy_ndarray().copy())
        theirs = torch.cat(maps).flatten(2).transpose(1, 2)
        worst = ((mine - theirs).abs().amax((1, 2)) / theirs.abs().amax((1, 2))).max().item()
    per_image = flops(encoder)
    pytorch_rate, our_rate, matrix = (statistics.median(column) for column in zip(*rounds))
    print(f"{args.images} images, {args.rounds} rounds, {os.cpu_count()} threads, {per_image / 1e9:.1f} GFLOP per image")
    print(f"PyTorch {pytorch_rate:.2f} images/s, attend-features {our_rate:.2f}: {statistics.median(o / t for t, o, _ in rounds):.2f} times as fast")
    print(f"matrix product {matrix / 1e9:.0f} GFLOP/s; PyTorch reaches {pytorch_rate * per_image / matrix:.0%}, attend-features {our_rate * per_image / matrix:.0%}")
    print(f"feature maps differ by at most {worst:.1e} of their largest value")
    sys.exit(worst > 1e-3)


if __name__ == "__main__":
    main()
