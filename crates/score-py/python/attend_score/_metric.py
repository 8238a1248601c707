"""Scores of captions that come batch by batch, called as other packages' metrics are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

from ._captions import CaptionError
from ._frames import score


class CaptionMetric:
    """Called like a metric of `torchmetrics` (`update`, `compute`, `reset`) or of `evaluate`
    (`compute(predictions=…, references=…)`), without these packages. Takes the options of `score`.

    >>> metric = CaptionMetric(["bleu"])
    >>> metric.update(["a dog runs"], [["a dog runs", "the dog runs"]])
    >>> metric.update(["a cat"], [["the cat"]])
    >>> round(metric.compute()["bleu1"], 2)
    0.8
    >>> metric.reset()
    >>> metric.compute(predictions=["a cat"], references=[["a cat"]])["bleu1"] > 0.99
    True
    """

    def __init__(self, metrics: Optional[Iterable[str]] = None, **options: Any) -> None:
        self._options = {"metrics": metrics, **options}
        self.reset()

    def update(self, preds: Iterable[str], target: Iterable[Iterable[str]]) -> None:
        """Adds one caption for each of some images, and its references."""
        preds, target = list(preds), [list(captions) for captions in target]
        if len(preds) != len(target):
            raise CaptionError(f"{len(preds)} preds, but target of {len(target)} images")
        self._predictions += preds
        self._references += target

    def compute(self, *, predictions: Any = None, references: Any = None) -> dict[str, float]:
        """The scores of all captions added, or of these alone."""
        if predictions is None and references is None:
            predictions, references = self._predictions, self._references
        return score(references, predictions, **self._options).corpus

    def reset(self) -> None:
        """Forgets the captions."""
        self._predictions: list[str] = []
        self._references: list[list[str]] = []
