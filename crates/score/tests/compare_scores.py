"""Compares attend-score with the COCO caption tool: every score of every image, time, memory.

    pip install pycocoevalcap==1.2 pyarrow    # and a Java
    cargo xtask setup --meteor
    cargo build --release -p attend-score
    python crates/score/tests/compare_scores.py captions_val2017.json [--rounds 5]

References are all captions of each image except the first. There are three sets of results:
the first captions; the same, dealt to other images; and the same again, with every fifth
empty and every fifth twelve captions long. Both programs read the same files, each in a
process of its own, one after the other; prints median times and peak memory. Exit code 1 if
a score differs: by more than 1e-6 for METEOR, by more than 1e-9 for the others.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
KEYS = {"Bleu_1": "bleu1", "Bleu_2": "bleu2", "Bleu_3": "bleu3", "Bleu_4": "bleu4", "METEOR": "meteor", "ROUGE_L": "rouge_l", "CIDEr": "cider"}
FAST, METEOR = "bleu,rouge,cider", "meteor"


def peer(references, results, metrics):
    """Runs the COCO caption tool (`--peer`), in a process of its own."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    gts, res = {}, {}
    for row in json.load(open(references))["annotations"]:
        gts.setdefault(row["image_id"], []).append(row)
    for row in json.load(open(results)):
        res[row["image_id"]] = [row]
    gts, res = PTBTokenizer().tokenize(gts), PTBTokenizer().tokenize(res)
    scorers = {"bleu": lambda: Bleu(4), "rouge": Rouge, "cider": Cider, "meteor": Meteor}
    scores = {}
    for name in metrics.split(","):
        scorer = scorers[name]()
        corpus, images = scorer.compute_score(gts, res)
        if name == "bleu":
            for k in range(4):
                scores[f"bleu{k + 1}"] = corpus[k], dict(zip(gts, images[k]))
        else:
            scores[KEYS[{"rouge": "ROUGE_L", "cider": "CIDEr", "meteor": "METEOR"}[name]]] = float(corpus), dict(zip(gts, map(float, images)))
    json.dump(scores, sys.stdout)


def ours(references, results, metrics):
    return [ROOT / "target/release/attend-score", "--references", references, "--results", results, "--metrics", metrics, "--json"]


def read(output, table):
    import pyarrow.parquet

    corpus = json.loads(output)["scores"]
    columns = pyarrow.parquet.read_table(table).to_pydict()
    return {key: (value, dict(zip(map(str, columns["image_id"]), columns[key]))) for key, value in corpus.items()}


def result_sets(rows):
    first = {}
    for row in rows:
        first.setdefault(row["image_id"], row["caption"])
    ids = list(first)
    captions = [first[i] for i in ids]
    dealt = random.Random(1).sample(captions, len(captions))
    odd = list(dealt)
    odd[::5] = [""] * len(odd[::5])
    odd[1::5] = [" ".join(captions[(i + k) % len(captions)] for k in range(12)) for i in range(1, len(odd), 5)]
    for name, said in (("first caption", captions), ("shuffled", dealt), ("empty and long", odd)):
        yield name, [{"image_id": i, "caption": c} for i, c in zip(ids, said)]


def run(command):
    """Runs a program; returns its output and its time in seconds."""
    start = time.perf_counter()
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
    return output, time.perf_counter() - start


def memory(command):
    """Peak memory in MB of a program and those that it starts (the tool starts a JVM),
    summed at each moment. Memory that several of them share counts once."""
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while program.poll() is None:
        peak = max(peak, sum(map(proportional, tree(program.pid))))
        time.sleep(0.002)
    return peak / 1024


def tree(process):
    try:
        children = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        children = []
    return [process, *(other for child in children for other in tree(child))]


def proportional(process):
    try:
        lines = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("annotations", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rows = json.loads(args.annotations.read_text())["annotations"]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        references, results, table = (f"{folder}/{name}" for name in ("references.json", "results.json", "scores.parquet"))
        seen = set()
        rest = [row for row in rows if row["image_id"] in seen or seen.add(row["image_id"])]
        json.dump({"annotations": rest, "images": [{"id": i} for i in seen]}, open(references, "w"))
        for name, said in result_sets(rows):
            json.dump(said, open(results, "w"))
            for metrics in (FAST, METEOR):
                tool = [sys.executable, __file__, "--peer", references, results, metrics]
                own = ours(references, results, metrics)
                times = []
                for _ in range(args.rounds):
                    (theirs, theirs_took), (mine, mine_took) = run(tool), run(own)
                    times.append((theirs_took, mine_took))
                theirs = json.loads(theirs[theirs.index('{"') :])  # the tool prints lines of its own before
                mine = read(run([*own, "--per-image", table])[0], table)
                print(f"{name}, {metrics}: {len(said)} images")
                for key, (corpus, images) in theirs.items():
                    limit = 1e-6 if key == "meteor" else 1e-9
                    worst = max(abs(mine[key][1][i] - score) for i, score in images.items())
                    difference = abs(mine[key][0] - corpus)
                    failed |= not (worst <= limit and difference <= limit)
                    print(f"  {key:8} {mine[key][0]:.6f}  largest difference: corpus {difference:.1e}, image {worst:.1e}")
                s, t = map(statistics.median, zip(*times))
                m, n = memory(tool), max(memory(own) for _ in range(10))  # short: the peak may fall between two looks
                print(f"  tool {s:.2f} s, {m:.0f} MB; ours {t:.3f} s, {n:.1f} MB: {s / t:.0f} times as fast in 1/{m / n:.1f} of the memory")
    sys.exit(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:])
    else:
        main()
