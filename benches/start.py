"""Compare the time from a cold start to one picture's caption with PyTorch's.

    cargo xtask run captioning --config configs/coco-mini.toml
    cargo xtask bench start -- artifacts/coco-mini/model photograph.jpg

Both programs start anew each time, on as many threads as there are cores: `attend-caption`,
and a script that does what the PyTorch tutorial's `caption.py` does, with the same weights of
encoder and decoder: imports torch and torchvision, loads the weights, reads the picture,
resizes it, encodes it, and searches with beam 3. They take turns; files are in the system's
cache for both. The script prints medians of the wall time.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time


def peer(model, picture):
    """What the tutorial's script does."""
    import search
    import torch
    import torchvision
    import training
    from PIL import Image
    from safetensors.torch import load_file

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    checkpoint = model / "checkpoints/best"
    card = json.loads((checkpoint / "model.json").read_text())
    words = json.loads((checkpoint / "vocab.json").read_text())
    network = getattr(torchvision.models, card["encoder"]["arch"])(weights=None)
    if card["encoder"]["stride_in"] == "conv1x1":
        for stage in (network.layer2, network.layer3, network.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    network.load_state_dict(load_file(checkpoint / "encoder.safetensors"), strict=False)
    stages = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    stages = stages[: stages.index(card["encoder"]["last_stage"]) + 1]
    encoder = torch.nn.Sequential(*[getattr(network, stage) for stage in stages]).eval()
    height, width = card["image_size"]
    pixels = Image.open(picture).convert("RGB").resize((width, height))
    transforms = torchvision.transforms
    normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    image = normalise(transforms.functional.to_tensor(pixels))
    with torch.inference_mode():
        cells = encoder(image[None])
    decoder = card["decoder"]
    training.CHANNELS, training.VOCABULARY = decoder["channels"], decoder["vocabulary"]
    training.EMBEDDING, training.ATTENTION, training.HIDDEN = (decoder[key] for key in ("embedding", "attention", "hidden"))
    training.NATIVE = tuple(cells.shape[2:])
    training.GRID = tuple(decoder["grid"]) if any(decoder["grid"]) else training.NATIVE
    net = training.Decoder()
    net.load_state_dict(load_file(checkpoint / "decoder.safetensors"))
    names = words["specials"]
    specials = (names["<start>"], names["<end>"], [names[name] for name in ("<pad>", "<start>", "<unk>")])
    [caption] = search.tutorial(net, cells.flatten(2).transpose(1, 2).contiguous(), 3, specials)
    print(" ".join(words["words"][i - 1]["word"] for i in caption))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("caption", help="the program attend-caption")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    if args.caption == "peer":
        return peer(args.model, args.picture)
    commands = {
        "attend-caption": [args.caption, "--model", str(args.model), str(args.picture)],
        "PyTorch": [sys.executable, __file__, "peer", str(args.model), str(args.picture)],
    }
    times, said = {name: [] for name in commands}, {}
    for _ in range(args.rounds):
        for name, command in commands.items():
            begun = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            times[name].append(time.perf_counter() - begun)
            said[name] = done.stdout.strip().split("\t")[-1]
    for name, seconds in times.items():
        print(f"{name:14}: {statistics.median(seconds):6.2f} s  {said[name]!r}")
    ratio = statistics.median(times["PyTorch"]) / statistics.median(times["attend-caption"])
    print(f"{ratio:.1f} times as fast, load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
