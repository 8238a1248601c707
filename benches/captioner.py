"""Train and evaluate a captioner in plain PyTorch on the artifacts of one of our runs.

    cargo xtask preprocess --config configs/rsicd.toml
    cargo xtask bench captioner -- artifacts/rsicd results
    cargo run --release -p attend-score -- --references dataset_rsicd.json --results results-beam-3.json

The features, captions and hyper-parameters are those of `configs/rsicd.toml`. The model is
the good PyTorch version of `training.py`, with dropout, a cosine schedule with warm-up,
clipping and the doubly stochastic term. After the last epoch it describes the test images
with the tutorial's beam search and writes `results-beam-K.json`.
"""

import argparse
import json
import math
import os
import pathlib
import time

import pyarrow
import pyarrow.parquet
import torch
import training
from torch import nn


class Run:
    """Features, captions and vocabulary of a run."""

    def __init__(self, folder):
        self.row = {}
        shards = []
        for path in sorted((folder / "features/shards").glob("*.arrow")):
            table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()
            for batch in table.to_batches():
                for image in batch["image_id"].to_pylist():
                    self.row[image] = len(self.row)
                shards.append(torch.from_numpy(batch["features"].to_numpy_ndarray()))
        self.table = torch.cat(shards).to(torch.get_default_device())  # f16 or f32, all images
        self.vocabulary = json.loads((folder / "vocabulary/vocab.json").read_text())
        encoded = pyarrow.parquet.read_table(folder / "vocabulary/encoded.parquet").to_pylist()
        self.captions = [caption for caption in encoded if caption["split"] == "train"]
        images = pyarrow.parquet.read_table(folder / "dataset/images.parquet").to_pylist()
        self.test = [image["image_id"] for image in images if image["split"] == "test"]

    def features(self, images):
        return self.table[torch.tensor([self.row[image] for image in images])].float()

    def batch(self, indices):
        captions = sorted((self.captions[i] for i in indices), key=lambda c: -len(c["tokens"]))
        images = sorted({caption["image_id"] for caption in captions})
        place = {image: n for n, image in enumerate(images)}
        tokens = nn.utils.rnn.pad_sequence([torch.tensor(c["tokens"]) for c in captions], batch_first=True)
        return {
            "features": self.features(images),
            "image": torch.tensor([place[caption["image_id"]] for caption in captions]),
            "tokens": tokens.long(),
            "lengths": torch.tensor([len(caption["tokens"]) for caption in captions]),
        }


def train(model, run, args):
    adam = torch.optim.Adam(model.parameters(), lr=args.lr, fused=True)
    steps_per_epoch = math.ceil(len(run.captions) / args.batch)
    step = 0
    for epoch in range(args.epochs):
        begun, losses = time.perf_counter(), []
        order = torch.randperm(len(run.captions)).tolist()
        for indices in (order[i : i + args.batch] for i in range(0, len(order), args.batch)):
            progress = step / steps_per_epoch / args.epochs
            rate = min((step + 1) / args.warmup, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))
            for group in adam.param_groups:
                group["lr"] = args.lr * rate
            loss = training.good(model, run.batch(indices), args.dropout)
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), training.CLIP)
            adam.step()
            losses.append(loss.item())
            step += 1
            if step % 100 == 0:
                rate = len(losses) * args.batch / (time.perf_counter() - begun)
                print(f"step {step}: loss {losses[-1]:.4f}, {rate:.0f} captions/s", flush=True)
        seconds = time.perf_counter() - begun
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.4f}, {len(run.captions) / seconds:.0f} captions/s", flush=True)


@torch.inference_mode()
def describe(model, run, image, beam, longest=50):
    """Token ids of the most likely caption that beam search finds."""
    specials = run.vocabulary["specials"]
    never = [specials[name] for name in ("<pad>", "<start>", "<unk>")]
    features = {"features": run.features([image]), "image": torch.zeros(1, dtype=torch.int64)}
    cells = training.attention_cells(features)
    projected = model.attention["encoder_att"](cells)
    mean = cells.mean(dim=1)
    h, c = model.init_h(mean), model.init_c(mean)
    sequences, scores, finished = [[specials["<start>"]]], torch.zeros(1), []
    for _ in range(longest + 1):
        context, _ = model.attend(projected, cells, h)
        context = torch.sigmoid(model.f_beta(h)) * context
        words = model.embedding(torch.tensor([words[-1] for words in sequences]))
        h, c = model.decode_step(torch.cat([words, context], dim=1), (h, c))
        total = scores[:, None] + torch.log_softmax(model.fc(h), dim=1)
        total[:, never] = -torch.inf
        scores, places = total.flatten().topk(beam - len(finished))
        rows, words = places // total.shape[1], places % total.shape[1]
        alive = words != specials["<end>"]
        for row, score in zip(rows[~alive].tolist(), scores[~alive].tolist()):
            finished.append((score, sequences[row][1:]))
        sequences = [sequences[row] + [word] for row, word in zip(rows[alive].tolist(), words[alive].tolist())]
        scores, h, c = scores[alive], h[rows[alive]], c[rows[alive]]
        if not sequences:
            break
    return max(finished)[1] if finished else sequences[0][1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path, help="folder of a run, with dataset, vocabulary and features")
    parser.add_argument("results", help="write the captions of the test images to RESULTS-beam-K.json")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=80)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--grid", type=int, nargs=2, default=(7, 7))
    parser.add_argument("--beams", type=int, nargs="+", default=(1, 3, 5))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(args.seed)
    torch.set_default_device(args.device)
    run = Run(args.run)
    cells, training.CHANNELS = run.table.shape[1:]
    training.NATIVE = (math.isqrt(cells),) * 2
    training.GRID = tuple(args.grid)
    training.VOCABULARY = len(run.vocabulary["words"]) + 4
    model = training.Decoder()
    train(model, run, args)
    words = [""] + [word["word"] for word in run.vocabulary["words"]]
    for beam in args.beams:
        captions = []
        for image in run.test:
            ids = describe(model, run, image, beam)
            captions.append({"image_id": image, "caption": " ".join(words[i] for i in ids)})
        pathlib.Path(f"{args.results}-beam-{beam}.json").write_text(json.dumps(captions))


if __name__ == "__main__":
    main()
