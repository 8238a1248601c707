"""Compare a training step of the decoder with PyTorch's.

    cargo xtask bench training      # makes the environment, builds, runs this

The tutorial's setting: batches of 32 captions, ResNet-101's features of images of
256 x 256 (8 x 8 cells, 2048 channels) pooled to 14 x 14, vocabulary of 9,490, all
widths 512, COCO's caption lengths. Three programs train the same decoder from the
same weights with Adam on the same batches, dropout off, on as many threads as there
are cores: ours; the tutorial's algorithm in PyTorch, which projects the cells at
every step; and good PyTorch, which projects them once, computes the logits after the
loop, skips padding and uses the fused Adam. Ours shares an image's cells among its five
captions; with --plain each image has one caption instead. The programs take turns. The
script prints medians, and

- the share of the floor that attend-train reaches. The floor is the time that the
  unavoidable matrix products would take at the rate of a large product in the same run;
- the first losses, which should agree. --curve N compares the losses of N steps on
  different batches instead of times (exit code 1 if they differ by more than 1e-3).
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
import torch
from safetensors.torch import save_file
from torch import nn

CHANNELS, EMBEDDING, ATTENTION, HIDDEN, VOCABULARY = 2048, 512, 512, 512, 9490
NATIVE, GRID = (8, 8), (14, 14)
LR, ALPHA_C, CLIP = 4e-4, 1.0, 5.0


def lengths(count):
    """Numbers of words of real COCO captions, in their order."""
    path = pathlib.Path(os.environ["ATTEND_DATA"], "coco-mini/dataset_coco.json")
    images = json.loads(path.read_text())["images"]
    words = [min(len(sentence["tokens"]), 50) for image in images for sentence in image["sentences"]]
    return [words[i % len(words)] for i in range(count)]


def batches(count, captions, per_image):
    """Synthetic batches: features as after a ReLU, words distributed by Zipf's law."""
    generator = torch.Generator().manual_seed(1)
    words = lengths(count * captions)
    chances = 1.0 / torch.arange(1, VOCABULARY - 3)
    for n in range(count):
        sizes = torch.tensor(words[n * captions : (n + 1) * captions]) + 2
        sizes, order = sizes.sort(descending=True, stable=True)
        image = (torch.arange(captions) // per_image)[order]
        tokens = torch.zeros(captions, int(sizes[0]), dtype=torch.int64)
        for row, size in enumerate(sizes):
            tokens[row, 1 : size - 1] = 1 + torch.multinomial(chances, int(size) - 2, True, generator=generator)
            tokens[row, 0], tokens[row, size - 1] = VOCABULARY - 2, VOCABULARY - 1
        features = torch.randn(int(image.max()) + 1, NATIVE[0] * NATIVE[1], CHANNELS, generator=generator).relu()
        yield {"features": features, "image": image, "tokens": tokens, "lengths": sizes}


class Decoder(nn.Module):
    """The decoder's parameters, named as in published checkpoints."""

    def __init__(self):
        super().__init__()
        self.attention = nn.ModuleDict({
            "encoder_att": nn.Linear(CHANNELS, ATTENTION),
            "decoder_att": nn.Linear(HIDDEN, ATTENTION),
            "full_att": nn.Linear(ATTENTION, 1),
        })
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.decode_step = nn.LSTMCell(EMBEDDING + CHANNELS, HIDDEN)
        self.init_h, self.init_c = nn.Linear(CHANNELS, HIDDEN), nn.Linear(CHANNELS, HIDDEN)
        self.f_beta = nn.Linear(HIDDEN, CHANNELS)
        self.fc = nn.Linear(HIDDEN, VOCABULARY)
        self.embedding.weight.data.uniform_(-0.1, 0.1)
        self.fc.weight.data.uniform_(-0.1, 0.1)
        self.fc.bias.data.zero_()

    def attend(self, projected, cells, h):
        """The context (B, C) and alpha (B, P)."""
        seen = torch.relu(projected + self.attention["decoder_att"](h)[:, None])
        alpha = torch.softmax(self.attention["full_att"](seen).squeeze(2), dim=1)
        return (cells * alpha[:, :, None]).sum(1), alpha


def attention_cells(batch):
    """The output of the tutorial's encoder: (B, 196, C), a copy for each caption."""
    n = batch["features"].shape[0]
    maps = batch["features"].transpose(1, 2).reshape(n, CHANNELS, *NATIVE)
    pooled = nn.functional.adaptive_avg_pool2d(maps, GRID)
    return pooled.flatten(2).transpose(1, 2).contiguous()[batch["image"]]


def tutorial(model, batch):
    """The loss, computing everything in every step, as the tutorial does."""
    cells, tokens, sizes = attention_cells(batch), batch["tokens"], (batch["lengths"] - 1).tolist()
    embedded = model.embedding(tokens)
    mean = cells.mean(dim=1)
    h, c = model.init_h(mean), model.init_c(mean)
    predictions = torch.zeros(len(sizes), sizes[0], VOCABULARY)
    alphas = torch.zeros(len(sizes), sizes[0], cells.shape[1])
    for t in range(sizes[0]):
        b = sum(size > t for size in sizes)
        context, alpha = model.attend(model.attention["encoder_att"](cells[:b]), cells[:b], h[:b])
        context = torch.sigmoid(model.f_beta(h[:b])) * context
        h, c = model.decode_step(torch.cat([embedded[:b, t], context], dim=1), (h[:b], c[:b]))
        predictions[:b, t] = model.fc(h)
        alphas[:b, t] = alpha
    pack = nn.utils.rnn.pack_padded_sequence
    scores = pack(predictions, sizes, batch_first=True).data
    targets = pack(tokens[:, 1:], sizes, batch_first=True).data
    loss = nn.functional.cross_entropy(scores, targets)
    return loss + ALPHA_C * ((1.0 - alphas.sum(dim=1)) ** 2).mean()


def good(model, batch, dropout=0.0):
    """The loss, with everything that does not change moved out of the loop."""
    cells, tokens, sizes = attention_cells(batch), batch["tokens"], (batch["lengths"] - 1).tolist()
    projected = model.attention["encoder_att"](cells)
    embedded = model.embedding(tokens)
    mean = cells.mean(dim=1)
    h, c = model.init_h(mean), model.init_c(mean)
    hidden, targets, alphas = [], [], torch.zeros(len(sizes), cells.shape[1])
    for t in range(sizes[0]):
        b = sum(size > t for size in sizes)
        seen = torch.relu(projected[:b] + model.attention["decoder_att"](h[:b])[:, None])
        alpha = torch.softmax(model.attention["full_att"](seen).squeeze(2), dim=1)
        context = torch.bmm(alpha[:, None], cells[:b]).squeeze(1)
        context = torch.sigmoid(model.f_beta(h[:b])) * context
        h, c = model.decode_step(torch.cat([embedded[:b, t], context], dim=1), (h[:b], c[:b]))
        hidden.append(h)
        targets.append(tokens[:b, t + 1])
        alphas = alphas + nn.functional.pad(alpha, (0, 0, 0, len(sizes) - b))
    hidden = nn.functional.dropout(torch.cat(hidden), dropout)
    loss = nn.functional.cross_entropy(model.fc(hidden), torch.cat(targets))
    return loss + ALPHA_C * ((1.0 - alphas) ** 2).mean()


class Peer:
    def __init__(self, loss, weights, data, fused, model=Decoder):
        self.loss, self.data, self.next = loss, data, 0
        self.model = model()
        self.model.load_state_dict(weights)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=LR, fused=fused)

    def run(self, steps):
        losses = []
        begun = time.perf_counter()
        for _ in range(steps):
            loss = self.loss(self.model, self.data[self.next % len(self.data)])
            self.adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(self.model.parameters(), CLIP)
            self.adam.step()
            self.next += 1
            losses.append(loss.item())
        return time.perf_counter() - begun, losses


class Ours:
    def __init__(self, program, file, threads, device="cpu", precision="f32", encoder="", alpha_c=ALPHA_C, **config):
        settings = {
            "threads": threads,
            "native": NATIVE,
            "encoder": {"weights": encoder},
            "decoder": {"embedding": EMBEDDING, "attention": ATTENTION, "hidden": HIDDEN, "dropout": 0.0, "grid": GRID},
            **config,
            "train": {"decoder_lr": LR, "alpha_c": alpha_c, "clip": CLIP, "device": device, "precision": precision, "encoder": "fine-tune"},
        }
        self.process = subprocess.Popen([program, file, json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, steps):
        print(steps, file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], answer["losses"]


def save(file, weights, data):
    """Writes weights and batches for the example program `step`."""
    tensors = {f"decoder.{name}": tensor for name, tensor in weights.items()}
    for n, batch in enumerate(data):
        tensors |= {f"{n}.{name}": tensor.contiguous() for name, tensor in batch.items()}
    save_file(tensors, file)


def floor(batch):
    """Multiplications plus additions of a step's matrix products, forward and twice
    backward; nobody needs the gradient of the cells."""
    tokens = int((batch["lengths"] - 1).sum())
    captions, images = len(batch["lengths"]), len(batch["features"])
    from_h = ATTENTION + CHANNELS + 4 * HIDDEN
    each = HIDDEN * from_h + (EMBEDDING + CHANNELS) * 4 * HIDDEN + HIDDEN * VOCABULARY
    once = captions * 2 * HIDDEN * CHANNELS * 2 + images * NATIVE[0] * NATIVE[1] * CHANNELS * ATTENTION * 2
    return 2 * (3 * tokens * each + once)


def matrix_rate():
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    a @ b
    begun = time.perf_counter()
    for _ in range(5):
        a @ b
    return 5 * 2 * 2048**3 / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", help="path of the example program `step` of attend-train")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="our steps in a round; the others make a quarter as many")
    parser.add_argument("--captions", type=int, default=32, help="captions in a step")
    parser.add_argument("--plain", action="store_true", help="one caption per image instead of five")
    parser.add_argument("--curve", type=int, default=0, help="compare the losses of this many steps instead of times")
    args = parser.parse_args()
    threads = os.cpu_count()
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        data = list(batches(args.curve or args.steps * 2, args.captions, 1 if args.plain else 5))
        weights = Decoder().state_dict()
        file = pathlib.Path(folder, "batches.safetensors")
        save(file, weights, data)
        ours = Ours(args.step, file, threads)
        peers = {"good PyTorch": Peer(good, weights, data, True), "tutorial": Peer(tutorial, weights, data, False)}
        if args.curve:
            peer = peers["good PyTorch"]
            pairs = list(zip(ours.run(args.curve)[1], peer.run(args.curve)[1]))
            worst = max(abs(a - b) / b for a, b in pairs)
            print(f"losses of {args.curve} steps differ by at most {worst:.1e}; the last ones are {pairs[-1]}")
            sys.exit(worst > 1e-3)
        programs = {"attend-train": (ours, args.steps)} | {name: (peer, max(1, args.steps // 4)) for name, peer in peers.items()}
        seconds = {name: [] for name in programs}
        rates, first = [], {}
        for _ in range(args.rounds):
            rates.append(matrix_rate())
            for name, (program, steps) in programs.items():
                taken, losses = program.run(steps)
                first.setdefault(name, losses[0])
                seconds[name].append(taken / steps)
        ideal = statistics.mean(floor(batch) for batch in data) / statistics.median(rates)
        print(f"{args.captions} captions per step, {len(data[0]['features'])} images, {threads} threads, {args.rounds} rounds")
        print(f"  matrix rate {statistics.median(rates) / 1e9:.0f} GFLOP/s; floor {ideal:.3f} s")
        ours_median = statistics.median(seconds["attend-train"])
        for name, taken in seconds.items():
            median = statistics.median(taken)
            print(f"  {name:14} {median:.3f} s, {args.captions / median:7.1f} captions/s; attend-train is {median / ours_median:.1f} times as fast")
        print(f"  attend-train reaches {ideal / ours_median:.0%} of the floor's speed")
        print(f"  first losses: {first}")


if __name__ == "__main__":
    main()
