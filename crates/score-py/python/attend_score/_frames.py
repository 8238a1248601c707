"""Scores of captions as they are, without a class for each metric."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np

from . import _native
from ._captions import CaptionError, kind, text, texts
from ._scorers import DocumentFrequencies

METRICS = ("bleu", "meteor", "rouge", "cider")


@dataclass(frozen=True, eq=False)  # equal if the scores of all images are, as mappings
class Scores(Mapping[str, float]):
    """Scores by key (`bleu1` to `bleu4`, `meteor`, `rouge_l`, `cider`), between 0 and 1, CIDEr
    between 0 and 10."""

    corpus: dict[str, float]
    """Of all images together."""
    per_image: dict[str, np.ndarray]
    """Of each image, in the order of `ids`."""
    ids: list[Any]
    """The images."""

    def __getitem__(self, key: str) -> float:
        return self.corpus[key]

    def __iter__(self):  # noqa: ANN204
        return iter(self.corpus)

    def __len__(self) -> int:
        return len(self.corpus)

    def to_pandas(self) -> Any:
        """A pandas frame with a row for each image."""
        import pandas

        return pandas.DataFrame({"image": self.ids, **self.per_image})

    def to_polars(self) -> Any:
        """A polars frame with a row for each image."""
        import polars

        return polars.DataFrame({"image": self.ids, **self.per_image})

    def __str__(self) -> str:
        return "\n".join(f"{key:<8}{100 * value:8.2f}" for key, value in self.corpus.items())


def score(
    references: Union[Mapping[Any, Sequence[str]], Sequence[Sequence[str]]],
    candidates: Union[Mapping[Any, Any], Sequence[str]],
    metrics: Optional[Iterable[str]] = None,
    *,
    tokenize: bool = True,
    df: Optional[DocumentFrequencies] = None,
    meteor: Union[None, str, os.PathLike[str]] = None,
) -> Scores:
    """Scores one candidate for each image against its references, both as lists or as dicts.

    `metrics` are some of `bleu`, `meteor`, `rouge`, `cider` [default: all; METEOR if its data is
    there]. With `tokenize=False` the captions are words joined by blanks. `df` are document
    frequencies for CIDEr-D, `meteor` the folder of METEOR's data.

    >>> score([["a dog runs", "the dog runs"]], ["a dog runs"], ["bleu"])["bleu4"] > 0
    True
    """
    ids, hypotheses, lists = _paired(references, candidates)
    wanted = list(METRICS if metrics is None else [metrics] if isinstance(metrics, str) else metrics)
    for name in wanted:
        if name not in METRICS:
            raise CaptionError(f"metrics: {name!r} is none of {', '.join(METRICS)}")
    splits = dict.fromkeys(METRICS, "ptb")
    if not tokenize:  # as the tool's classes split captions that are tokenised
        splits = {"bleu": "space", "cider": "space", "rouge": "blanks", "meteor": "blanks"}
    ways = {splits[name] for name in wanted}
    corpora = {split: _native.Corpus(hypotheses, lists, split) for split in sorted(ways)}
    corpus_scores: dict[str, float] = {}
    per_image: dict[str, np.ndarray] = {}

    def add(key: str, of_all: float, of_image: list[float]) -> None:
        corpus_scores[key], per_image[key] = of_all, np.array(of_image)

    for name in wanted:
        corpus = corpora[splits[name]]
        if name == "bleu":
            for order, scores in enumerate(corpus.bleu(), 1):
                add(f"bleu{order}", *scores)
        elif name == "rouge":
            add("rouge_l", *corpus.rouge())
        elif name == "cider":
            add("cider", *corpus.cider(df and df._native))
        else:
            try:
                add("meteor", *corpus.meteor(None if meteor is None else os.fspath(meteor)))
            except FileNotFoundError as why:
                if metrics is not None:
                    raise
                warnings.warn(f"no METEOR: {why}", stacklevel=2)
    return Scores(corpus_scores, per_image, ids)


def _paired(references: Any, candidates: Any) -> tuple[list[Any], list[str], list[list[str]]]:
    if isinstance(candidates, Mapping) != isinstance(references, Mapping):
        raise CaptionError("references and candidates: expected two dicts or two lists")
    if isinstance(candidates, Mapping):
        lacking = [image for image in candidates if image not in references]
        if lacking:
            raise CaptionError(f"references: lack image {lacking[0]!r} (of {len(lacking)})")
        ids = list(candidates)
        given = [candidates[image] for image in ids]
        lists = [references[image] for image in ids]
    else:
        given, lists = _list("candidates", candidates), _list("references", references)
        if len(given) != len(lists):
            raise CaptionError(f"{len(given)} candidates, but references of {len(lists)} images")
        ids = list(range(len(given)))
    single = [one[0] if isinstance(one, (list, tuple)) and len(one) == 1 else one for one in given]
    hypotheses = [text(f"candidates[{image!r}]", one) for image, one in zip(ids, single)]
    return ids, hypotheses, [texts(f"references[{i!r}]", one) for i, one in zip(ids, lists)]


def _list(what: str, captions: Any) -> list[Any]:
    if isinstance(captions, str) or not isinstance(captions, Iterable):
        raise CaptionError(f"{what}: expected a list, not {kind(captions)}")
    return list(captions)
