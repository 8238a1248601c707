"""The scores on the command line: `python -m attend_score --references R --results S`."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Optional

from . import _meteor, _native
from ._captions import CaptionError
from ._files import replaced
from ._frames import METRICS, Scores, score
from ._scorers import DocumentFrequencies


def main(arguments: Optional[list[str]] = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["setup-meteor"]:
            return _setup_meteor(arguments[1:])
        return _score(arguments)
    except (CaptionError, OSError, ValueError) as why:
        print(f"error: {why}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130


def _setup_meteor(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m attend_score setup-meteor", description="Brings METEOR's data, 105 MB."
    )
    parser.add_argument("folder", nargs="?", type=Path, help="where to [default: attend's cache]")
    print(_meteor.setup(parser.parse_args(arguments).folder))
    return 0


def _score(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m attend_score",
        description="Scores captions as the COCO caption tool does. `setup-meteor` as the first "
        "word brings METEOR's data.",
    )
    parser.add_argument(
        "--references",
        required=True,
        nargs="+",
        metavar="FILE",
        help="COCO's or Karpathy's JSON, JSON Lines, CSV, TSV, Flickr8k's token.txt, plain text",
    )
    parser.add_argument("--results", required=True, metavar="FILE", help="COCO results, or a table")
    parser.add_argument("--split", help="only the images of this split")
    parser.add_argument("--metrics", metavar="NAMES", help=f"of {','.join(METRICS)} [default: all]")
    parser.add_argument("--df", metavar="FILE", help="document frequencies for CIDEr")
    parser.add_argument("--meteor", metavar="DIR", help="folder of METEOR's data")
    parser.add_argument("--json", action="store_true", help="print JSON, not multiplied by 100")
    parser.add_argument("--per-image", metavar="FILE", type=Path, help="write a CSV of the images")
    args = parser.parse_args(arguments)
    ids, hypotheses, references = _native.read_files(args.references, args.results, args.split)
    scores = score(
        references,
        hypotheses,
        args.metrics and args.metrics.split(","),
        df=args.df and DocumentFrequencies.read(args.df),
        meteor=args.meteor,
    )
    if args.per_image:
        _write(args.per_image, ids, hypotheses, scores)
    if args.json:
        print(json.dumps({"images": len(ids), **scores.corpus}))
    else:
        print(scores)
    return 0


def _write(path: Path, ids: list[str], captions: list[str], scores: Scores) -> None:
    with replaced(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption", *scores.lists])
        table.writerows(zip(ids, captions, *scores.lists.values()))


if __name__ == "__main__":
    sys.exit(main())
