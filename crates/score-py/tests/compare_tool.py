"""Compares the package with the COCO caption tool, both called from Python: every score of
every image, and the time from lists of captions to scores.

    pip install pycocoevalcap==1.2 target/wheels/attend_score-*.whl    # and a Java
    python -m attend_score setup-meteor
    python crates/score-py/tests/compare_tool.py captions_val2017.json [--rounds 5] [--images 31014]

The results are those of `crates/score/tests/compare_scores.py`. With --images, as many images
are drawn from the file's captions, each with a candidate and four references. Each program runs
in a process of its own, one after the other; prints median times and peak memory. Exit code 1 if
a score of an image or of 5,000 images differs by more than 2e-15 (METEOR: 1e-6, the digits that
the tool prints).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "score" / "tests"))
from compare_scores import memory, result_sets  # noqa: E402

FAST, METEOR = "bleu,rouge,cider", "meteor"
# The tool; its classes, replaced by ours; our function for lists.
WAYS = ("tool", "classes", "score()")
# Scores nothing: the memory that the captions take.
CAPTIONS = "captions"


def worker(whose: str, captions: str, metrics: str) -> None:
    """Scores captions; prints times and scores as JSON."""
    if whose != "tool":
        import attend_score

        attend_score.replace_pycocoevalcap()
    if whose == CAPTIONS:
        json.loads(Path(captions).read_text())
        return
    if whose == "score()":
        gts, res = json.loads(Path(captions).read_text())
        references = [[row["caption"] for row in rows] for rows in gts.values()]
        candidates = [res[image][0]["caption"] for image in gts]
        began = time.perf_counter()
        found = attend_score.score(references, candidates, metrics.split(","))
        took = time.perf_counter() - began
        keys = {"rouge_l": "rouge"}
        scores = {keys.get(key, key): (found[key], found.lists[key]) for key in found}
        print("\n" + json.dumps({"took": took, "scores": scores}))
        return
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    gts, res = json.loads(Path(captions).read_text())
    scorers = {"bleu": lambda: Bleu(4), "rouge": Rouge, "cider": Cider, "meteor": Meteor}
    scores = {}
    began = time.perf_counter()
    gts, res = PTBTokenizer().tokenize(gts), PTBTokenizer().tokenize(res)
    for name in metrics.split(","):
        of_all, of_image = scorers[name]().compute_score(gts, res)
        if name == "bleu":
            scores |= {f"bleu{k + 1}": (of_all[k], of_image[k]) for k in range(4)}
        else:
            scores[name] = float(of_all), [float(score) for score in of_image]
    took = time.perf_counter() - began
    print("\n" + json.dumps({"took": took, "scores": scores}))


def drawn(rows: list[dict], images: int):
    """Captions of as many images: of the same image for half of them, else of any."""
    draw = random.Random(7)
    by_image: dict[int, list[str]] = {}
    for row in rows:
        by_image.setdefault(row["image_id"], []).append(row["caption"])
    lists, all_captions = list(by_image.values()), [row["caption"] for row in rows]
    gts, res = {}, {}
    for image in range(images):
        own = draw.choice(lists) if draw.random() < 0.5 else draw.sample(all_captions, 5)
        own = draw.sample(own, 5) if len(own) >= 5 else own + own[:1] * (5 - len(own))
        res[image], gts[image] = [{"caption": own[0]}], [{"caption": text} for text in own[1:]]
    yield f"{images} images", gts, res


def given(rows: list[dict]):
    gts: dict[int, list[dict]] = {}
    for row in rows:
        gts.setdefault(row["image_id"], []).append({"caption": row["caption"]})
    gts = {image: captions[1:] for image, captions in gts.items()}
    for name, said in result_sets(rows):
        yield name, gts, {row["image_id"]: [{"caption": row["caption"]}] for row in said}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int)
    args = parser.parse_args()
    rows = json.loads(args.annotations.read_text())["annotations"]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        captions = Path(folder) / "captions.json"
        for name, gts, res in drawn(rows, args.images) if args.images else given(rows):
            captions.write_text(json.dumps([gts, res]))
            for metrics in (FAST, METEOR):
                commands = {
                    whose: [sys.executable, __file__, "--worker", whose, str(captions), metrics]
                    for whose in WAYS
                }
                took: dict[str, list[float]] = {whose: [] for whose in WAYS}
                scores = {}
                for _ in range(args.rounds):
                    for whose, command in commands.items():
                        ended = subprocess.run(command, capture_output=True, text=True, check=True)
                        found = json.loads(ended.stdout.splitlines()[-1])
                        took[whose].append(found["took"])
                        scores[whose] = found["scores"]
                print(f"{name}, {metrics}: {len(gts)} images")
                for key, (theirs, of_image) in scores["tool"].items():
                    for whose in WAYS[1:]:
                        ours, of_images = scores[whose][key]
                        limit = 1e-6 if key == "meteor" else 2e-15
                        both = zip(of_images, of_image)
                        worst = max(abs(a - b) / max(1, abs(b)) for a, b in both)
                        apart = abs(ours - theirs)
                        # The sum of very many scores is rounded very often.
                        of_all = limit * max(1, len(of_image) / 5000)
                        failed |= not (worst <= limit and apart <= of_all)
                        told = f"apart: corpus {apart:.1e}, image {worst:.1e}"
                        print(f"  {key:6} {ours:.6f}  {told} ({whose})")
                seconds = {whose: statistics.median(took[whose]) for whose in WAYS}
                peaks = {whose: memory(command) for whose, command in commands.items()}
                loads = [sys.executable, __file__, "--worker", CAPTIONS, str(captions), metrics]
                alone = memory(loads)
                print(f"  tool {seconds['tool']:.2f} s, {peaks['tool']:.0f} MB")
                print(f"  the captions alone {alone:.0f} MB")
                for whose in WAYS[1:]:
                    faster, less = (of["tool"] / of[whose] for of in (seconds, peaks))
                    added = (peaks["tool"] - alone) / (peaks[whose] - alone)
                    print(
                        f"  {whose} {seconds[whose]:.3f} s, {peaks[whose]:.0f} MB: {faster:.0f} times "
                        f"as fast in 1/{less:.1f} of the memory (without the captions 1/{added:.1f})",
                        flush=True,
                    )
    sys.exit(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
    else:
        main()
