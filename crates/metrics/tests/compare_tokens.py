"""Compares the tokeniser with the COCO tool's, line by line.

    pip install pycocoevalcap==1.2          # and a Java
    cargo build --release -p attend-metrics --example ptb
    python compare_tokens.py [--fuzz 100000] [--seed 1] CAPTIONS.json ...

The files are COCO's captions_*.json, Karpathy's dataset_*.json, or text with one
caption per line (anything before a tab is dropped). The script also generates lines from
a seed: pieces that the rules are about, in random order, and real captions with random
changes. It prints how many lines differ, and the first of them. Exit code 1 if any line
differs.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import time

from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[3]

def pieces():
    text = pathlib.Path(__file__).with_name("fixtures").joinpath("pieces.txt").read_text(encoding="utf-8")
    codes = {"SHY": "\u00ad", "ZWSP": "\u200b", "ZWJ": "\u200d", "NBSP": "\u00a0", "EM": "\u2003", "IDEO": "\u3000",
             "BOM": "\ufeff", "NEL": "\u0085", "LQ": "\u0091", "RQ": "\u0092", "DASH": "\u0096", "DEL": "\u007f", "CTL": "\u0001",
             "ACUTE": "\u0301", "TAB": "\t"}
    for piece in text.split("\n"):
        if piece and not piece.startswith("##"):
            for name, code in codes.items():
                piece = piece.replace("{%s}" % name, code)
            yield piece


def real(paths):
    for path in paths:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        if not path.endswith(".json"):
            yield [line.split("\t")[-1] for line in text.splitlines()]
            continue
        data = json.loads(text)
        if "annotations" in data:
            yield [annotation["caption"] for annotation in data["annotations"]]
        else:
            yield [sentence["raw"] for image in data["images"] for sentence in image["sentences"]]


def generated(rng, count, captions):
    parts = list(pieces())
    letters = sorted({c for part in parts for c in part})
    for _ in range(count):
        kind = rng.random()
        if kind < 0.5:
            glue = rng.choice([" ", " ", " ", "", rng.choice(letters)])
            yield glue.join(rng.choice(parts) for _ in range(rng.randint(1, 9)))
        elif kind < 0.7 and captions:
            words = rng.choice(captions).replace("\n", " ").split(" ")
            for _ in range(rng.randint(1, 3)):
                words.insert(rng.randint(0, len(words)), rng.choice(parts))
            yield " ".join(words)
        elif kind < 0.8 and captions:
            line = list(rng.choice(captions).replace("\n", " "))
            for _ in range(rng.randint(1, 3)):
                line.insert(rng.randint(0, len(line)), rng.choice(letters))
            yield "".join(line)
        elif kind < 0.9:
            yield "".join(rng.choice(letters) for _ in range(rng.randint(1, 25)))
        else:
            yield "".join(chr(rng.choice([rng.randint(32, 126), rng.randint(160, 0x24F), rng.randint(0x2000, 0x2BFF),
                                          rng.randint(0x370, 0xFFFD), rng.randint(0x1F300, 0x1F6FF)]))
                          for _ in range(rng.randint(1, 12))).encode("utf-16", "ignore").decode("utf-16", "ignore")


def tool(lines):
    tokens = PTBTokenizer().tokenize({i: [{"caption": line}] for i, line in enumerate(lines)})
    return [tokens[i][0] if i in tokens else None for i in range(len(lines))]


def ours(lines):
    program = ROOT / "target/release/examples/ptb"
    text = "\n".join(line.replace("\n", " ") for line in lines)
    out = subprocess.run([program], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
    return out[:-1].split("\n")


def compare(name, lines):
    start = time.time()
    theirs = tool(lines)
    middle = time.time()
    mine = ours(lines)
    end = time.time()
    wrong = [i for i in range(len(lines)) if theirs[i] is None or mine[i].split(" ") != theirs[i].split(" ")]
    print(f"{name}: {len(wrong)} of {len(lines)} lines differ; tool {middle - start:.2f} s, ours {end - middle:.2f} s")
    for i in wrong[:20]:
        print(f"  {lines[i]!r}\n    tool {theirs[i]!r}\n    ours {mine[i]!r}")
    return len(wrong)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("captions", nargs="*")
    parser.add_argument("--fuzz", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    files = list(real(args.captions))
    wrong = sum(compare(path, lines) for path, lines in zip(args.captions, files))
    rng = random.Random(args.seed)
    # Characters at which the tool ends a line and Python does not would shift its captions.
    breaks = str.maketrans({c: " " for c in "\r\n\x0b\x0c\u2028\u2029"})
    captions = [caption for lines in files for caption in lines]
    lines = [line.translate(breaks) for line in generated(rng, args.fuzz, captions)]
    wrong += compare(f"generated, seed {args.seed}", lines)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
