"""Compare the search for captions with PyTorch's.

    cargo xtask run captioning --config configs/coco-mini.toml
    cargo xtask bench search -- artifacts/coco-mini

A run's model describes images of the run from their features (all splits, until there are
--images), with each beam size. Three programs take turns, on as many threads as there are
cores, with the same weights and features: ours; the tutorial's search, which describes one
image at a time and projects its cells at every step; and a good search in PyTorch: batches
of 32 images, cells projected once and shared by the hypotheses of an image, top-k on
tensors, images leave when they are done. The script prints medians of the milliseconds an
image takes, how many captions differ from ours, and the share of the floor that ours
reaches: the time that the products of the hypotheses that go on would take at the rate of a
large product in the same run.
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

import captioner
import torch
import training
from safetensors.torch import load_file, save_file

BATCH, LONGEST = 32, 50


def attention_cells(model, features):
    """(n, P, C): the decoder's grid."""
    if training.GRID == training.NATIVE:
        return features
    maps = features.transpose(1, 2).reshape(len(features), -1, *training.NATIVE)
    return torch.nn.functional.adaptive_avg_pool2d(maps, training.GRID).flatten(2).transpose(1, 2).contiguous()


@torch.inference_mode()
def tutorial(model, features, beam, specials):
    """One image at a time; everything is computed at every step."""
    start, end, never = specials
    captions = []
    for image in features:
        cells = attention_cells(model, image[None])
        mean = cells.mean(dim=1).expand(beam, -1)
        h, c = model.init_h(mean), model.init_c(mean)
        cells = cells.expand(beam, -1, -1)
        sequences = torch.full((beam, 1), start)
        scores = torch.zeros(beam, 1)
        k, finished = beam, []
        for step in range(LONGEST + 1):
            projected = model.attention["encoder_att"](cells)
            context, _ = model.attend(projected, cells, h)
            context = torch.sigmoid(model.f_beta(h)) * context
            h, c = model.decode_step(torch.cat([model.embedding(sequences[:, -1]), context], dim=1), (h, c))
            total = scores + torch.log_softmax(model.fc(h), dim=1)
            total[:, never] = -torch.inf
            best, places = (total[0] if step == 0 else total.flatten()).topk(k)
            rows, words = places // total.shape[1], places % total.shape[1]
            sequences = torch.cat([sequences[rows], words[:, None]], dim=1)
            done = words == end
            finished += [(s, w[1:-1]) for s, w in zip(best[done].tolist(), sequences[done].tolist())]
            k -= int(done.sum())
            if k == 0:
                break
            sequences, scores = sequences[~done], best[~done, None]
            h, c, cells = h[rows[~done]], c[rows[~done]], cells[:k]
        captions.append(max(finished, key=lambda each: each[0])[1] if finished else sequences[0, 1 : LONGEST + 1].tolist())
    return captions


@torch.inference_mode()
def batched(model, features, beam, specials):
    """All images of a batch at once."""
    start, end, never = specials
    captions = []
    for batch in features.split(BATCH):
        cells = attention_cells(model, batch)  # (n, P, C)
        projected = model.attention["encoder_att"](cells)  # (n, P, A)
        mean = cells.mean(dim=1).repeat_interleave(beam, 0)
        h, c = model.init_h(mean), model.init_c(mean)
        n, vocabulary = len(batch), len(model.fc.bias)
        image = torch.arange(n)
        places = torch.full((n,), beam)
        scores = torch.full((n, beam), -torch.inf)
        scores[:, 0] = 0.0
        sequences = torch.full((n, beam, 1), start)
        best_of = [(-torch.inf, [])] * n
        for step in range(LONGEST + 1):
            live = len(image)
            query = model.attention["decoder_att"](h).view(live, beam, 1, -1)
            seen = torch.relu(projected[:, None] + query)
            alpha = torch.softmax(model.attention["full_att"](seen).squeeze(-1), dim=-1)  # (n, k, P)
            context = torch.bmm(alpha, cells).flatten(0, 1)
            context = torch.sigmoid(model.f_beta(h)) * context
            words = model.embedding(sequences[:, :, -1].flatten())
            h, c = model.decode_step(torch.cat([words, context], dim=1), (h, c))
            total = torch.log_softmax(model.fc(h), dim=1)
            total[:, never] = -torch.inf
            total = (total.view(live, beam, -1) + scores[:, :, None]).flatten(1)
            scores, found = total.topk(beam, dim=1)
            # Hypotheses that ended have taken their places with them.
            scores[torch.arange(beam) >= places[:, None]] = -torch.inf
            rows, words = found // vocabulary, found % vocabulary
            sequences = torch.cat([sequences.gather(1, rows[:, :, None].expand(-1, -1, step + 1)), words[:, :, None]], dim=2)
            done = (words == end) & (scores > -torch.inf)
            for place, row in done.nonzero().tolist():
                score = scores[place, row].item()
                if score > best_of[image[place]][0]:
                    best_of[image[place]] = (score, sequences[place, row, 1:-1].tolist())
            places = places - done.sum(1)
            scores[done] = -torch.inf
            index = (torch.arange(live)[:, None] * beam + rows).flatten()
            h, c = h[index], c[index]
            # Nothing can beat the best one that ended any more.
            top = torch.tensor([best_of[i][0] for i in image.tolist()])
            going = scores.max(1).values > top
            if step == LONGEST or not going.any():
                for place in range(live):
                    if best_of[image[place]][0] == -torch.inf:
                        best_of[image[place]] = (0.0, sequences[place, 0, 1 : LONGEST + 1].tolist())
                break
            if not going.all():
                cells, projected, image, places = cells[going], projected[going], image[going], places[going]
                scores, sequences = scores[going], sequences[going]
                h, c = (state.view(live, beam, -1)[going].flatten(0, 1) for state in (h, c))
        captions += [words for _, words in best_of]
    return captions


def rate():
    """Multiplications a second of a large product."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    times = []
    for _ in range(9):
        begun = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - begun)
    return 2048**3 / min(times)


def floor(model, captions, beam):
    """Multiplications of an image: its projection, and each step of the hypotheses that a beam
    has while its best caption is not finished."""
    p, grid = training.NATIVE[0] * training.NATIVE[1], training.GRID[0] * training.GRID[1]
    channels, hidden = training.CHANNELS, model.f_beta.in_features
    attention, embedding = model.attention["encoder_att"].out_features, model.embedding.embedding_dim
    row = hidden * (attention + channels + 4 * hidden) + (embedding + channels) * 4 * hidden
    row += len(model.fc.bias) * hidden + grid * attention + min(p, grid) * channels
    rows = sum(1 + beam * len(caption) for caption in captions)
    return len(captions) * (min(p, grid) * channels * attention + 2 * channels * hidden) + rows * row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", help="the program of crates/describe/examples/search.rs")
    parser.add_argument("run", type=pathlib.Path, help="folder of a run, with dataset, vocabulary, features and model")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--beams", type=int, nargs="+", default=(1, 5))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    run = captioner.Run(args.run)
    checkpoint = args.run / "model/checkpoints/best"
    card = json.loads((checkpoint / "model.json").read_text())["decoder"]
    features = run.table[: args.images].float().contiguous()
    training.CHANNELS, training.VOCABULARY = card["channels"], card["vocabulary"]
    training.EMBEDDING, training.ATTENTION, training.HIDDEN = card["embedding"], card["attention"], card["hidden"]
    training.NATIVE = (int(features.shape[1] ** 0.5),) * 2
    training.GRID = tuple(card["grid"]) if any(card["grid"]) else training.NATIVE
    model = training.Decoder()
    model.load_state_dict(load_file(checkpoint / "decoder.safetensors"))
    names = run.vocabulary["specials"]
    specials = (names["<start>"], names["<end>"], [names[name] for name in ("<pad>", "<start>", "<unk>")])
    words = [""] + [word["word"] for word in run.vocabulary["words"]]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "features.safetensors")
        save_file({"features": features}, file)
        settings = {"threads": threads, "batch": BATCH, "grid": training.NATIVE}
        command = [args.search, str(checkpoint), str(file), json.dumps(settings)]
        ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def attend(_, __, beam, ___):
            print(beam, file=ours.stdin, flush=True)
            return json.loads(ours.stdout.readline())

        print(f"{len(features)} images, cells {tuple(features.shape[1:])}, {threads} threads, load {os.getloadavg()[0]:.1f}")
        for beam in args.beams:
            times = {name: [] for name in ("attend", "batched", "tutorial")}
            captions = {}
            for _ in range(args.rounds):
                answer = attend(model, features, beam, specials)
                times["attend"].append(answer["seconds"])
                captions["attend"] = answer["captions"]
                for name, search in (("batched", batched), ("tutorial", tutorial)):
                    begun = time.perf_counter()
                    found = search(model, features, beam, specials)
                    times[name].append(time.perf_counter() - begun)
                    captions[name] = [" ".join(words[i] for i in ids) for ids in found]
            mine = statistics.median(times["attend"])
            for name, seconds in times.items():
                differ = sum(a != b for a, b in zip(captions[name], captions["attend"]))
                each = statistics.median(seconds)
                print(f"beam {beam}, {name:8}: {1000 * each / len(features):7.2f} ms an image, {each / mine:5.1f} times, {differ} captions differ")
            needed = floor(model, [caption.split() for caption in captions["attend"]], beam) / rate()
            print(f"beam {beam}, floor   : {1000 * needed / len(features):7.2f} ms an image; attend reaches {100 * needed / mine:.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
