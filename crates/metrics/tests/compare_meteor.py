"""Compares METEOR of this crate with the real tool: every image's score, time and memory.

    pip install pycocoevalcap==1.2   # and Java
    cargo build --release -p attend-metrics --example meteor
    python crates/metrics/tests/compare_meteor.py captions_val2017.json [--rounds 3]

There are three sets of hypotheses: the first caption of each image (compared with its
others); the same captions, assigned to other images; and these again with every fifth empty
and every fifth twelve captions long. Both programs read the same words from one file and
run alternately; time and memory are those of whole processes. Exit code 1 if a score
differs by more than 1e-6.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

LIMIT = 1e-6
ROOT = pathlib.Path(__file__).parents[3]


def peer(captions):
    """The real tool, in a process of its own: this file with `--peer`."""
    from pycocoevalcap.meteor.meteor import Meteor

    with open(captions) as file:
        captions = json.load(file)
    gts = {i: [" ".join(r) for r in rs] for i, rs in enumerate(captions["references"])}
    res = {i: [" ".join(h)] for i, h in enumerate(captions["hypotheses"])}
    corpus, per_image = Meteor().compute_score(gts, res)
    json.dump({"corpus": corpus, "per_image": per_image}, sys.stdout)


def tokenised(annotations):
    """The words of each image's captions, from the tool's own tokeniser."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    images = {}
    for caption in json.loads(annotations.read_text())["annotations"]:
        images.setdefault(caption["image_id"], []).append(caption)
    captions = PTBTokenizer().tokenize(images)
    return [[c.split(" ") for c in captions[i]] for i in sorted(captions) if len(captions[i]) > 1]


def hypothesis_sets(captions):
    first = [image[0] for image in captions]
    dealt = random.Random(1).sample(first, len(first))
    yield "first caption", first
    yield "shuffled", dealt
    odd = list(dealt)
    for i in range(0, len(odd), 5):
        odd[i] = []
    for i in range(1, len(odd), 5):
        odd[i] = sum((first[(i + k) % len(first)] for k in range(12)), [])
    yield "empty and long", odd


def run(command, captions):
    """What a program prints, its seconds and its peak memory in MB."""
    with tempfile.TemporaryFile() as output, open(captions) as input:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=input, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)  # includes the children that it waited for
        seconds = time.perf_counter() - start
        if status != 0:
            sys.exit(f"{command} failed")
        output.seek(0)
        # the tool's Python part prints more than the scores
        return json.loads(output.read().splitlines()[-1]), seconds, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("annotations", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=1, help="alternating runs, of which the medians are printed")
    args = parser.parse_args()

    import pycocoevalcap.meteor

    ours = ROOT / "target/release/examples/meteor"
    captions = tokenised(args.annotations)
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        data, file = f"{folder}/english.meteor", f"{folder}/captions.json"
        start = time.perf_counter()
        subprocess.run([ours, "compile", pycocoevalcap.meteor.__path__[0], data], check=True)
        size = os.path.getsize(data) / 1e6
        print(f"compiled {size:.1f} MB in {time.perf_counter() - start:.1f} s")
        programs = {"tool": [sys.executable, __file__, "--peer", file], "ours": [ours, "score", data]}
        for name, hypotheses in hypothesis_sets(captions):
            with open(file, "w") as output:
                json.dump({"hypotheses": hypotheses, "references": [c[1:] for c in captions]}, output)
            scores, figures = {}, {program: [] for program in programs}
            for _ in range(args.rounds):
                for program, command in programs.items():
                    scores[program], *figure = run(command, file)
                    figures[program].append(figure)
            theirs, mine = scores["tool"], scores["ours"]
            corpus = abs(theirs["corpus"] - mine["corpus"])
            images = [abs(a - b) for a, b in zip(theirs["per_image"], mine["per_image"], strict=True)]
            worst = max(worst, corpus, *images)
            print(f"{name}: {len(images)} images, METEOR {mine['corpus']:.6f}")
            print(f"  largest difference: corpus {corpus:.1e}, image {max(images):.1e}")
            medians = {p: [statistics.median(column) for column in zip(*f)] for p, f in figures.items()}
            for program, (seconds, memory) in medians.items():
                print(f"  {program}: {seconds:.2f} s, {memory:.0f} MB")
            (t, m), (s, n) = medians["tool"], medians["ours"]
            print(f"  {t / s:.0f} times as fast in 1/{m / n:.0f} of the memory")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2])
    else:
        main()
