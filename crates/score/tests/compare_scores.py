"""attend-score beside the COCO caption tool: every score of every image, time, memory.

    pip install pycocoevalcap==1.2 pyarrow    # and a Java
    cargo xtask setup --meteor
    cargo build --release -p attend-score
    python crates/score/tests/compare_scores.py captions_val2017.json [--rounds 5]

References are all but the first caption of each image. Three sets of results: the
first captions; the same, dealt to other images; and again with every fifth empty
and every fifth twelve captions long. Both programs read the same files, whole
processes, one after the other; medians are printed. Exit code 1 where a score
differs: by more than 1e-6 for METEOR, by more than 1e-9 for the others.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
KEYS = {"Bleu_1": "bleu1", "Bleu_2": "bleu2", "Bleu_3": "bleu3", "Bleu_4": "bleu4", "METEOR": "meteor", "ROUGE_L": "rouge_l", "CIDEr": "cider"}
FAST, METEOR = "bleu,rouge,cider", "meteor"


def peer(references, results, metrics):
    """The real tool, in a process of its own: this file with `--peer`."""
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


def ours(references, results, metrics, table):
    return [ROOT / "target/release/attend-score", "--references", references, "--results", results, "--metrics", metrics, "--json", "--per-image", table]


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


# A small process starts the program: what a child has resident before it becomes
# the program counts as its own.
LAUNCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[2:], stderr=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - start
open(sys.argv[1], "w").write(f"{code} {seconds} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}")
"""


def run(command, folder):
    """What a program prints, its seconds and its peak memory in MB."""
    figures = pathlib.Path(folder, "figures")
    launch = [sys.executable, "-S", "-c", LAUNCH, figures, *command]
    output = subprocess.run(launch, stdout=subprocess.PIPE, check=True).stdout.decode()
    code, seconds, memory = figures.read_text().split()
    if code != "0":
        sys.exit(f"{command} failed")
    return output, float(seconds), float(memory)


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
                times = {"tool": [], "ours": []}
                for _ in range(args.rounds):
                    output, *figure = run([sys.executable, __file__, "--peer", references, results, metrics], folder)
                    times["tool"].append(figure)
                    theirs = json.loads(output[output.index('{"') :])  # the tool prints lines of its own before
                    output, *figure = run(ours(references, results, metrics, table), folder)
                    times["ours"].append(figure)
                    mine = read(output, table)
                print(f"{name}, {metrics}: {len(said)} images")
                for key, (corpus, images) in theirs.items():
                    limit = 1e-6 if key == "meteor" else 1e-9
                    worst = max(abs(mine[key][1][i] - score) for i, score in images.items())
                    difference = abs(mine[key][0] - corpus)
                    failed |= not (worst <= limit and difference <= limit)
                    print(f"  {key:8} {mine[key][0]:.6f}  largest difference: corpus {difference:.1e}, image {worst:.1e}")
                (s, m), (t, n) = ([statistics.median(column) for column in zip(*times[who])] for who in ("tool", "ours"))
                print(f"  tool {s:.2f} s, {m:.0f} MB; ours {t:.3f} s, {n:.0f} MB: {s / t:.0f} times as fast in 1/{m / n:.0f} of the memory")
    sys.exit(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:])
    else:
        main()
