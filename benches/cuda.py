"""Compare training on a CUDA device with PyTorch on the same device.

    cargo xtask bench --device cuda     # makes the environment (5 GB), builds, runs this

- Losses: the first steps on the CPU and on the device, in f32, bf16 and f16, must agree.
- A decoder's training step at COCO's real shapes (see `training.py`) for several batch
  sizes: captions/s, and the seconds for an epoch of 566,435 captions. Features are kept in
  host memory as f16, as in an artifact, and copied to the device at each step.
- Fine-tuning ResNet-101's layer2 to layer4 from pixels of 256 x 256: images/s.

The programs take turns; the script prints medians.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time

import features
import torch
import training
from torch import nn

CAPTIONS_OF_COCO = 566_435
PIXELS = 256
PRECISIONS = {"f32": None, "bf16": torch.bfloat16, "f16": torch.float16}


def pinned(data):
    return [{name: tensor.pin_memory() for name, tensor in batch.items()} for batch in data]


def to_device(batch):
    moved = {name: tensor.cuda(non_blocking=True) for name, tensor in batch.items() if name != "lengths"}
    return moved | {"lengths": batch["lengths"]}


class Peer(training.Peer):
    """PyTorch on the device, in mixed precision if `dtype` is given."""

    def __init__(self, loss, weights, data, dtype=None):
        def on_device(model, batch):
            batch = to_device(batch)
            with torch.autocast("cuda", dtype, enabled=dtype is not None):
                return loss(model, batch | {"features": batch["features"].float()})

        super().__init__(on_device, weights, pinned(data), True)


class FineTuning:
    """torchvision's encoder and the good decoder, one caption per image."""

    def __init__(self, encoder, weights, data, dtype):
        self.data, self.dtype, self.next = pinned(data), dtype, 0
        self.encoder = nn.Sequential(*list(encoder.children())[:-2]).cuda().eval().to(memory_format=torch.channels_last)
        self.scaler = torch.amp.GradScaler(enabled=dtype == torch.float16)
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad = int(name.split(".")[0]) >= 5  # layer2 is the sixth child
        self.decoder = training.Decoder()
        self.decoder.load_state_dict(weights)
        learning = [p for p in self.encoder.parameters() if p.requires_grad]
        self.parameters = learning + list(self.decoder.parameters())
        self.adam = torch.optim.Adam([{"params": learning, "lr": 1e-4}, {"params": self.decoder.parameters()}], lr=training.LR, fused=True)

    def run(self, steps):
        losses, begun = [], time.perf_counter()
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        for _ in range(steps):
            batch = to_device(self.data[self.next % len(self.data)])
            with torch.autocast("cuda", self.dtype, enabled=self.dtype is not None):
                pixels = (batch["pixels"].float() / 255 - mean) / std
                maps = self.encoder(pixels.contiguous(memory_format=torch.channels_last))
                batch["features"] = maps.flatten(2).transpose(1, 2).float()
                loss = training.good(self.decoder, batch)
            self.adam.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.adam)
            nn.utils.clip_grad_value_(self.parameters, training.CLIP)
            self.scaler.step(self.adam)
            self.scaler.update()
            self.next += 1
            losses.append(loss.item())
        return time.perf_counter() - begun, losses


def ours(args, file, precision="f32", device="cuda", **options):
    return training.Ours(args.step, file, os.cpu_count(), device=device, precision=precision, **options)


def turns(programs, rounds, steps):
    """Median seconds per step of each program."""
    for program in programs.values():
        program.run(3)
    seconds = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            seconds[name].append(program.run(steps)[0] / steps)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def compare_losses(args, folder):
    data = [half(batch) for batch in training.batches(4, 32, 5)]
    file = folder / "losses.safetensors"
    training.save(file, training.Decoder().state_dict(), data)
    expected = ours(args, file, device="cpu").run(args.losses)[1]
    for precision in PRECISIONS:
        losses = ours(args, file, precision).run(args.losses)[1]
        worst = max(abs(a - b) / b for a, b in zip(losses, expected))
        print(f"losses of {args.losses} steps in {precision} differ from the CPU's by at most {worst:.1e}", flush=True)


def half(batch):
    return batch | {"features": batch["features"].half()}


def decoder_steps(args, folder):
    for captions in args.batches:
        data = [half(batch) for batch in training.batches(8, captions, 5)]
        weights = training.Decoder().state_dict()
        file = folder / f"{captions}.safetensors"
        training.save(file, weights, data)
        torch.set_default_device("cuda")
        programs = {f"attend-train {precision}": ours(args, file, precision) for precision in PRECISIONS}
        programs |= {f"good PyTorch {name}": Peer(training.good, weights, data, dtype) for name, dtype in list(PRECISIONS.items())[:2]}
        if captions == args.batches[0]:
            programs["tutorial f32"] = Peer(training.tutorial, weights, data)
        taken = turns(programs, args.rounds, args.steps)
        torch.set_default_device("cpu")
        print(f"{captions} captions of {len(data[0]['features'])} images per step:")
        for name, seconds in taken.items():
            print(f"  {name:18} {1e3 * seconds:7.2f} ms, {captions / seconds:8.0f} captions/s, {CAPTIONS_OF_COCO * seconds / captions:6.1f} s an epoch of COCO", flush=True)


def fine_tuning(args, folder):
    captions = args.images
    torch.manual_seed(1)
    encoder = features.resnet101()
    data = []
    for batch in training.batches(2, captions, 1):
        del batch["features"]
        data.append(batch | {"pixels": torch.randint(0, 256, (captions, 3, PIXELS, PIXELS), dtype=torch.uint8)})
    weights = training.Decoder().state_dict()
    file, encoder_file = folder / "pixels.safetensors", folder / "resnet101.safetensors"
    training.save(file, weights, data)
    training.save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, encoder_file)
    torch.set_default_device("cuda")
    programs = {}
    for name, dtype in PRECISIONS.items():
        programs[f"attend-train {name}"] = ours(args, file, name, encoder=str(encoder_file))
        programs[f"PyTorch {name}"] = FineTuning(encoder, weights, data, dtype)
    taken = turns(programs, args.rounds, max(2, args.steps // 8))
    torch.set_default_device("cpu")
    print(f"fine-tuning ResNet-101's layer2 to layer4, {captions} images per step:")
    for name, seconds in taken.items():
        print(f"  {name:18} {1e3 * seconds:7.2f} ms, {captions / seconds:7.0f} images/s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", help="path of the example program `step` of attend-train")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="steps in a round")
    parser.add_argument("--losses", type=int, default=10, help="steps to compare losses over")
    parser.add_argument("--batches", type=int, nargs="+", default=(32, 80, 320, 640), help="captions in a step, each size in turn")
    parser.add_argument("--images", type=int, default=32, help="images in a step of fine-tuning")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("PyTorch finds no CUDA device here, so there is nothing to measure", file=sys.stderr)
        sys.exit(1)
    # Our programs load the CUDA part of libtorch from PyTorch's folder.
    libraries = pathlib.Path(torch.__file__).parent / "lib"
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [str(libraries), os.environ.get("LD_LIBRARY_PATH")]))
    torch.manual_seed(1)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, {args.rounds} rounds of {args.steps} steps")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        compare_losses(args, folder)
        decoder_steps(args, folder)
        fine_tuning(args, folder)


if __name__ == "__main__":
    main()
