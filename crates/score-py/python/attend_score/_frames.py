"""Scores of captions as they are, without a class for each metric."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional, Union

from ._captions import CaptionError, corpus, kind
from ._scorers import DocumentFrequencies

if TYPE_CHECKING:  # it takes more memory than the scores
    import numpy as np

METRICS = ("bleu", "meteor", "rouge", "cider")


@dataclass(frozen=True, eq=False)  # equal if the scores of all images are, as mappings
class Scores(Mapping[str, float]):
    """Scores by key (`bleu1` to `bleu4`, `meteor`, `rouge_l`, `cider`), between 0 and 1, CIDEr
    between 0 and 10."""

    corpus: dict[str, float]
    """Of all images together."""
    lists: dict[str, list[float]]
    """Of each image, in the order of `ids`."""
    ids: list[Any]
    """The images."""

    @cached_property
    def per_image(self) -> dict[str, np.ndarray]:
        """`lists` as arrays."""
        import numpy as np

        return {key: np.array(scores) for key, scores in self.lists.items()}

    def __getitem__(self, key: str) -> float:
        return self.corpus[key]

    def __iter__(self):  # noqa: ANN204
        return iter(self.corpus)

    def __len__(self) -> int:
        return len(self.corpus)

    def to_pandas(self) -> Any:
        """A pandas frame with a row for each image."""
        import pandas

        return pandas.DataFrame({"image": self.ids, **self.lists})

    def to_polars(self) -> Any:
        """A polars frame with a row for each image."""
        import polars

        return polars.DataFrame({"image": self.ids, **self.lists})

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
    wanted = list(
        METRICS if metrics is None else [metrics] if isinstance(metrics, str) else metrics
    )
    for name in wanted:
        if name not in METRICS:
            raise CaptionError(f"metrics: {name!r} is none of {', '.join(METRICS)}")
    if not (df is None or isinstance(df, DocumentFrequencies)):
        raise CaptionError(f"df: expected DocumentFrequencies, not {kind(df)}")
    splits = dict.fromkeys(METRICS, "ptb")
    if not tokenize:  # as the tool's classes split captions that are tokenised
        splits = {"bleu": "space", "cider": "space", "rouge": "blanks", "meteor": "blanks"}
    ways = {splits[name] for name in wanted}
    names = ("candidates", "references")
    corpora = {split: corpus(ids, hypotheses, lists, split, names) for split in sorted(ways)}
    found = Scores({}, {}, ids)

    def add(key: str, of_all: float, of_image: list[float]) -> None:
        found.corpus[key], found.lists[key] = of_all, of_image

    for name in wanted:
        captions = corpora[splits[name]]
        if name == "bleu":
            for order, scores in enumerate(captions.bleu(), 1):
                add(f"bleu{order}", *scores)
        elif name == "rouge":
            add("rouge_l", *captions.rouge())
        elif name == "cider":
            add("cider", *captions.cider(df and df._native))
        else:
            try:
                add("meteor", *captions.meteor(None if meteor is None else os.fspath(meteor)))
            except FileNotFoundError as why:
                if metrics is not None:
                    raise
                warnings.warn(f"no METEOR: {why}", stacklevel=2)
    return found


def _paired(references: Any, candidates: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Images, the candidate of each, and its references, for `corpus`."""
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
    return ids, single, lists


def _list(what: str, captions: Any) -> list[Any]:
    if isinstance(captions, str) or not isinstance(captions, Iterable):
        raise CaptionError(f"{what}: expected a list, not {kind(captions)}")
    return list(captions)
