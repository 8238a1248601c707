"""Compare a step of training by reward with ruotianluo's code.

    git clone https://github.com/ruotianluo/ImageCaptioning.pytorch
    git clone https://github.com/ruotianluo/cider
    cargo xtask run captioning --config configs/coco-mini.toml --set run.name=mini-att2in --set decoder.arch=att2in
    cargo xtask bench reward -- artifacts/mini-att2in ImageCaptioning.pytorch cider

Both begin with the run's model and see the same images and references: 10 images a step, 5
captions drawn of each, the greedy caption as the baseline, CIDEr-D with frequencies of the train
split. A step is: draw, score, loss, gradients, Adam. The two take turns; the script prints medians
of a step's milliseconds, what share of ours the scores take, and both mean rewards.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import pathlib
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections import defaultdict

import captioner
import torch
from safetensors.torch import load_file

IMAGES, SAMPLES, RATE, CLIP, LONGEST = 10, 5, 5e-5, 0.1, 20


def package(checkout, cider):
    """The checkout's modules without `captioning.models.__init__`, which needs more packages."""
    sys.path[:0] = [str(checkout), str(cider)]
    for name in ["captioning", "captioning.models"]:
        module = types.ModuleType(name)
        module.__path__ = [str(checkout.joinpath(*name.split(".")))]
        sys.modules[name] = module


def grams(sentence):
    """The n-grams of a sentence of ids, as the checkout's scorer counts them."""
    words = sentence.split()
    return {tuple(words[at : at + n]) for n in range(1, 5) for at in range(len(words) - n + 1)}


class Theirs:
    """The checkout's model and loss, with the run's weights, images and references."""

    def __init__(self, run, checkpoint):
        card = json.loads((checkpoint / "model.json").read_text())["decoder"]
        names = run.vocabulary["specials"]
        self.end = names["<end>"]
        options = types.SimpleNamespace(
            vocab_size=card["vocabulary"] - 1, input_encoding_size=card["embedding"], rnn_size=card["hidden"], num_layers=1,
            drop_prob_lm=card["dropout"], seq_length=LONGEST, fc_feat_size=card["channels"], att_feat_size=card["channels"],
            att_hid_size=card["attention"], vocab={}, bos_idx=names["<start>"], eos_idx=self.end, pad_idx=names["<pad>"],
            label_smoothing=0, sc_sample_method="greedy", sc_beam_size=1, train_sample_method="sample", train_beam_size=1,
            train_sample_n=SAMPLES, cider_reward_weight=1, bleu_reward_weight=0, use_ppo=0, structure_loss_type="new_self_critical",
        )  # fmt: skip
        self.model = importlib.import_module("captioning.models.AttModel").Att2in2Model(options)
        missing = self.model.load_state_dict(load_file(checkpoint / "decoder.safetensors"), strict=False)
        assert all(name.startswith("fc_embed") for name in missing.missing_keys) and not missing.unexpected_keys
        self.loss = importlib.import_module("captioning.modules.loss_wrapper").LossWrapper(self.model, options)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=RATE)
        of_image = defaultdict(list)
        for caption in run.captions:
            of_image[caption["image_id"]].append(caption["tokens"][1:] + [0])
        self.images, self.references = list(of_image), list(of_image.values())
        self.run, self.grid = run, card["grid"]
        with tempfile.TemporaryDirectory() as folder:
            here = os.getcwd()
            os.chdir(folder)
            os.mkdir("data")
            counts = defaultdict(float)
            for of_image in self.references:
                sentences = [" ".join(map(str, ids)) for ids in of_image]
                for gram in set().union(*map(grams, sentences)):
                    counts[gram] += 1
            with open("data/train.p", "wb") as file:
                pickle.dump({"document_frequency": counts, "ref_len": len(self.references)}, file)
            importlib.import_module("captioning.utils.rewards").init_scorer("train")
            os.chdir(here)
        self.step = 0

    def cells(self, images):
        """(n, P, C): the decoder's grid."""
        features = self.run.features(images)
        side = int(features.shape[1] ** 0.5)
        maps = features.transpose(1, 2).reshape(len(features), -1, side, side)
        grid = self.grid if any(self.grid) else (side, side)
        return torch.nn.functional.adaptive_avg_pool2d(maps, grid).flatten(2).transpose(1, 2).contiguous()

    def take(self, steps):
        """Seconds and mean rewards of so many steps."""
        rewards, seconds = [], 0.0
        for _ in range(steps):
            at = [(self.step * IMAGES + n) % len(self.images) for n in range(IMAGES)]
            cells = self.cells([self.images[n] for n in at])
            references = [self.references[n] for n in at]
            begun = time.perf_counter()
            self.adam.zero_grad()
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                found = self.loss(cells.mean(1), cells, None, None, None, references, torch.arange(IMAGES), True, False, False)
            found["loss"].backward()
            torch.nn.utils.clip_grad_value_(self.model.parameters(), CLIP)
            self.adam.step()
            seconds += time.perf_counter() - begun
            rewards.append(float(printed.getvalue().split()[-1]))
            self.step += 1
        return seconds, rewards


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reward", help="the program of crates/train/examples/reward.rs")
    parser.add_argument("run", type=pathlib.Path, help="folder of a run of decoder.arch=att2in")
    parser.add_argument("checkout", type=pathlib.Path, help="of ruotianluo/ImageCaptioning.pytorch")
    parser.add_argument("cider", type=pathlib.Path, help="of ruotianluo/cider")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    package(args.checkout, args.cider)
    run = captioner.Run(args.run)
    theirs = Theirs(run, args.run / "model/checkpoints/best")
    config = {
        "train": {"batch": IMAGES * SAMPLES, "max_length": LONGEST, "decoder_lr": RATE, "clip": CLIP},
        "reward": {"samples": SAMPLES, "baseline": "greedy"},
    }
    command = [args.reward, str(args.run), str(threads), str(IMAGES), json.dumps(config)]
    ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def attend(steps):
        print(steps, file=ours.stdin, flush=True)
        return json.loads(ours.stdout.readline())

    print(f"{IMAGES} images and {SAMPLES} captions of each, {threads} threads, load {os.getloadavg()[0]:.1f}")
    times, rewards, scoring = ([], []), ([], []), []
    for turn in range(args.rounds + 1):
        answer = attend(args.steps)
        seconds, theirs_found = theirs.take(args.steps)
        if turn == 0:  # memory and threads are new
            continue
        times[0].append(1000 * answer["seconds"] / args.steps)
        times[1].append(1000 * seconds / args.steps)
        scoring.append(answer["scoring"] / answer["seconds"])
        rewards[0].extend(answer["rewards"])
        rewards[1].extend(theirs_found)
    ours.stdin.close()
    medians = [statistics.median(of) for of in times]
    ratio = statistics.median(b / a for a, b in zip(*times))
    means = [statistics.mean(of) for of in rewards]
    print(f"attend      {medians[0]:7.1f} ms a step, mean reward {means[0]:.3f}; scores take {100 * statistics.median(scoring):.1f} %")
    print(f"ruotianluo  {medians[1]:7.1f} ms a step, mean reward {means[1]:.3f}; {ratio:.1f} times as long")


if __name__ == "__main__":
    main()
