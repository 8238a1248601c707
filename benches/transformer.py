"""Compare a training step of the transformer with PyTorch's own modules.

    cargo xtask bench transformer      # makes the environment, builds, runs this

Batches, features and threads are those of `training.py`; width 512, 8 heads, feed-forward
2,048, three layers each over 14 x 14 cells and over the words. The peer is PyTorch as its
users write it: nn.TransformerEncoder and nn.TransformerDecoder, normalised first, with the
fused Adam; it encodes each image once, repeats the encoded cells for its captions, and pads
the captions. (Its layer norm is not quite the reference implementation's, so the losses agree
to a part in a thousand.) The programs take turns; the script prints medians.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import tempfile

import torch
from torch import nn
from training import CHANNELS, GRID, LR, NATIVE, VOCABULARY, Ours, Peer, attention_cells, batches, save

WIDTH, HEADS, FEED_FORWARD, LAYERS = 512, 8, 2048, 3


def sinusoid(count, width):
    """Sines and cosines of positions, (count, width)."""
    angles = torch.arange(count)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)


class Captioner(nn.Module):
    """An encoder of cells and a decoder of words."""

    def __init__(self, dropout):
        super().__init__()
        sizes = dict(d_model=WIDTH, nhead=HEADS, dim_feedforward=FEED_FORWARD, dropout=dropout, batch_first=True, norm_first=True)
        encoder, decoder = nn.TransformerEncoderLayer(**sizes), nn.TransformerDecoderLayer(**sizes)
        self.cells = nn.Linear(CHANNELS, WIDTH)
        self.encoder = nn.TransformerEncoder(encoder, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.decoder = nn.TransformerDecoder(decoder, LAYERS, nn.LayerNorm(WIDTH))
        self.output = nn.Linear(WIDTH, VOCABULARY)
        rows, columns = (sinusoid(count, WIDTH // 2) for count in GRID)
        rows, columns = rows[:, None].expand(*GRID, -1), columns[None].expand(*GRID, -1)
        self.places = torch.cat([rows, columns], 2).flatten(0, 1)
        self.dropout = nn.Dropout(dropout)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)


def ours(weights):
    """The peer's weights under the reference implementation's names."""
    out = {}
    whole = {"cells": "att_embed.0", "words": "model.tgt_embed.0.lut", "output": "model.generator.proj"}
    norm = {"weight": "a_2", "bias": "b_2"}
    for name, tensor in weights.items():
        layer, parameter = name.rsplit(".", 1)
        if layer in whole:
            out[f"{whole[layer]}.{parameter}"] = tensor
            continue
        layer = f"model.{layer}".replace("multihead_attn", "src_attn")
        if parameter.startswith("in_proj_"):
            for n, part in enumerate(tensor.chunk(3)):
                out[f"{layer}.linears.{n}.{parameter.removeprefix('in_proj_')}"] = part
        elif layer.endswith("out_proj"):
            out[f"{layer.removesuffix('out_proj')}linears.3.{parameter}"] = tensor
        elif layer[:-1].endswith("linear"):
            out[f"{layer[:-len('linear1')]}feed_forward.w_{layer[-1]}.{parameter}"] = tensor
        elif layer[:-1].endswith("norm"):
            out[f"{layer[:-len('norm1')]}sublayer.{int(layer[-1]) - 1}.norm.{norm[parameter]}"] = tensor
        else:
            out[f"{layer}.{norm[parameter]}"] = tensor
    return out


def loss(model, batch):
    """Cross entropy of a batch's captions."""
    images = {**batch, "image": torch.arange(len(batch["features"]))}
    cells = model.dropout(torch.relu(model.cells(attention_cells(images)))) + model.places
    memory = model.encoder(cells)[batch["image"]]
    words, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    steps = words.shape[1]
    embedded = model.dropout(model.words(words) * math.sqrt(WIDTH) + sinusoid(steps, WIDTH))
    mask = nn.Transformer.generate_square_subsequent_mask(steps)
    out = model.output(model.decoder(embedded, memory, tgt_mask=mask, tgt_is_causal=True))
    real = torch.arange(steps) < (batch["lengths"] - 1)[:, None]
    return nn.functional.cross_entropy(out[real], targets[real])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", help="path of the example program `step` of attend-train")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps in a round")
    parser.add_argument("--captions", type=int, default=50, help="captions in a step, five of each image")
    parser.add_argument("--dropout", type=float, default=0.1)
    args = parser.parse_args()
    threads = os.cpu_count()
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        data = list(batches(args.steps * 2, args.captions, 5))
        weights = Captioner(args.dropout).state_dict()
        file = pathlib.Path(folder, "batches.safetensors")
        save(file, ours(weights), data)
        peer = Peer(loss, weights, data, True, lambda: Captioner(args.dropout))
        config = {
            "decoder": {"arch": "transformer", "hidden": WIDTH, "dropout": args.dropout, "grid": GRID},
            "transformer": {"heads": HEADS, "feed_forward": FEED_FORWARD, "encoder_layers": LAYERS, "decoder_layers": LAYERS, "dropout": args.dropout},
        }
        programs = {"attend-train": Ours(args.step, file, threads, alpha_c=0.0, **config), "PyTorch": peer}
        seconds, first = {name: [] for name in programs}, {}
        for _ in range(args.rounds):
            for name, program in programs.items():
                taken, losses = program.run(args.steps)
                first.setdefault(name, losses[0])
                seconds[name].append(taken / args.steps)
    ratios = [theirs / own for own, theirs in zip(*seconds.values())]
    print(f"{args.captions} captions per step, five of each image, {threads} threads, dropout {args.dropout}, {args.rounds} rounds")
    for name, taken in seconds.items():
        print(f"  {name:14} {statistics.median(taken):.3f} s")
    print(f"  attend-train is {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"  first losses: {first}")


if __name__ == "__main__":
    main()
