"""Compare whole epochs on a frozen ResNet-101 with the PyTorch tutorial.

    cargo xtask bench epoch         # makes the environment (5 GB), builds, runs this

2,000 images of 256 x 256 with five captions each. The tutorial runs the encoder for
each caption in each epoch, then its decoder step. Ours runs the encoder once per image
(attend-features, shards written), then the decoder step on cached features. The script
measures each part on some batches, in turns, and scales it up. Our first epoch includes
the features, the later ones do not.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

import features
import torch
import training
from safetensors.torch import save_file

IMAGES, CAPTIONS = 2000, 5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ingest", help="path of attend-ingest")
    parser.add_argument("features", help="path of attend-features")
    parser.add_argument("step", help="path of the example program `step` of attend-train")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=64, help="images to encode in a round")
    args = parser.parse_args()
    threads = os.cpu_count()
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    whole = features.resnet101()
    encoder = torch.nn.Sequential(*list(whole.children())[:-2], torch.nn.AdaptiveAvgPool2d(training.GRID)).eval()
    encoder.requires_grad_(False)
    captions = 32
    pixels = torch.rand(captions, 3, features.SIZE, features.SIZE)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        weights = folder / "resnet101.safetensors"
        save_file({name: value.contiguous() for name, value in whole.state_dict().items()}, weights)
        features.images(folder / "all", args.ingest, args.images)
        features.images(folder / "one", args.ingest, 1)
        data = list(training.batches(8, captions, CAPTIONS))
        decoder = training.Decoder().state_dict()
        file = folder / "batches.safetensors"
        training.save(file, decoder, data)
        ours = training.Ours(args.step, file, threads)
        tutorial = training.Peer(training.tutorial, decoder, data, False)
        ours.run(1), tutorial.run(1), encoder(pixels)
        rounds = []
        for _ in range(args.rounds):
            begun = time.perf_counter()
            encoder(pixels)
            each_encoder = (time.perf_counter() - begun) / captions
            each_theirs = tutorial.run(1)[0] / captions
            start = features.ours(args.features, folder / "one", weights, folder / "first")
            made = features.ours(args.features, folder / "all", weights, folder / "maps")
            each_features = (made - start) / (args.images - 1)
            each_ours = ours.run(8)[0] / (8 * captions)
            rounds.append((each_encoder, each_theirs, each_features, each_ours))
    each_encoder, each_theirs, each_features, each_ours = (statistics.median(column) for column in zip(*rounds))
    theirs = IMAGES * CAPTIONS * (each_encoder + each_theirs)
    later = IMAGES * CAPTIONS * each_ours
    first = IMAGES * each_features + later
    print(f"{IMAGES} images, {CAPTIONS} captions each, {threads} threads, {args.rounds} rounds")
    print(f"tutorial: {each_encoder * 1e3:.0f} ms encoder, {each_theirs * 1e3:.0f} ms decoder per caption; {theirs:.0f} s per epoch")
    print(f"attend: {each_features * 1e3:.0f} ms encoder per image, {each_ours * 1e3:.1f} ms decoder per caption")
    print(f"first epoch {first:.0f} s: {theirs / first:.1f} times as fast; each later one {later:.0f} s: {theirs / later:.1f} times")


if __name__ == "__main__":
    main()
