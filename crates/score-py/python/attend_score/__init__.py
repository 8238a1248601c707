"""The scores of the COCO caption tool, without Java.

    >>> import attend_score
    >>> references = {7: ["A dog runs along the beach.", "The dog is running."], 8: ["A bus."]}
    >>> candidates = {7: "A dog runs on the beach.", 8: "A red bus."}
    >>> scores = attend_score.score(references, candidates, metrics=["bleu", "cider"])
    >>> round(scores["bleu1"], 3)
    0.778

The classes have the interface of `pycocoevalcap`: `COCO`, `COCOEvalCap`, `PTBTokenizer`, `Bleu`,
`Rouge`, `Cider`, `Meteor`. `replace_pycocoevalcap` puts all of them in that package's place. `CiderD` scores captions as a
reward, `CaptionMetric` batch by batch.
"""

from ._captions import CaptionError
from ._coco import COCO, COCOEvalCap
from ._frames import Scores, score
from ._metric import CaptionMetric
from ._replace import replace_pycocoevalcap
from ._scorers import (
    Bleu,
    Cider,
    CiderD,
    DocumentFrequencies,
    Meteor,
    PTBTokenizer,
    Rouge,
)

__all__ = [
    "COCO",
    "Bleu",
    "COCOEvalCap",
    "CaptionError",
    "CaptionMetric",
    "Cider",
    "CiderD",
    "DocumentFrequencies",
    "Meteor",
    "PTBTokenizer",
    "Rouge",
    "Scores",
    "replace_pycocoevalcap",
    "score",
]
