"""This package in the place of `pycocoevalcap`, for code that imports that."""

from __future__ import annotations

import sys
from types import ModuleType

from ._coco import COCO, COCOEvalCap
from ._scorers import Bleu, Cider, Meteor, PTBTokenizer, Rouge

# Module -> the classes that it has.
_PLACES = {
    "pycocoevalcap": [],
    "pycocoevalcap.eval": [COCOEvalCap, PTBTokenizer, Bleu, Meteor, Rouge, Cider],
    "pycocoevalcap.bleu": [],
    "pycocoevalcap.bleu.bleu": [Bleu],
    "pycocoevalcap.cider": [],
    "pycocoevalcap.cider.cider": [Cider],
    "pycocoevalcap.meteor": [],
    "pycocoevalcap.meteor.meteor": [Meteor],
    "pycocoevalcap.rouge": [],
    "pycocoevalcap.rouge.rouge": [Rouge],
    "pycocoevalcap.tokenizer": [],
    "pycocoevalcap.tokenizer.ptbtokenizer": [PTBTokenizer],
}


def replace_pycocoevalcap(coco: bool = False) -> None:
    """From now on, `from pycocoevalcap.bleu.bleu import Bleu` and the like give the classes of
    this package; with `coco`, `from pycocotools.coco import COCO` does, too. SPICE is not there.

    Call it before the code that imports them is loaded.
    """
    places = dict(_PLACES)
    if coco:
        places |= {"pycocotools": [], "pycocotools.coco": [COCO]}
    for name, classes in places.items():
        module = ModuleType(name, f"attend_score in the place of {name}.")
        module.__path__ = []  # a package, so that modules below it are looked for
        for one in classes:
            setattr(module, one.__name__, one)
        sys.modules[name] = module
    for name in places:
        package, _, last = name.rpartition(".")
        if package:
            setattr(sys.modules[package], last, sys.modules[name])
