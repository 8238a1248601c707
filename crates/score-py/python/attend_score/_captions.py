"""Checks captions from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import _native


class CaptionError(AssertionError, TypeError, ValueError):
    """Captions in another form than the one that is expected; says which and where.

    `pycocoevalcap` raises `AssertionError` for some of these, so that this is one.
    """


def mapping(what: str, captions: Any) -> Mapping[Any, Any]:
    if not isinstance(captions, Mapping):
        raise CaptionError(f"{what}: expected a dict of images, not {kind(captions)}")
    return captions


def texts(what: str, captions: Any) -> list[str]:
    """The captions of an image: at least one, all of them text."""
    if not isinstance(captions, (list, tuple)):
        raise CaptionError(f"{what}: expected a list of captions, not {kind(captions)}")
    if not captions:
        raise CaptionError(f"{what}: has no caption")
    return [text(what, caption) for caption in captions]


def text(what: str, caption: Any) -> str:
    if not isinstance(caption, str):
        raise CaptionError(f"{what}: expected a caption as text, not {kind(caption)}")
    try:
        caption.encode()
    except UnicodeEncodeError as why:
        raise CaptionError(f"{what}: {caption!r} is no text in Unicode ({why.reason})") from None
    return caption


def one(what: str, captions: Any) -> str:
    captions = texts(what, captions)
    if len(captions) != 1:
        raise CaptionError(f"{what}: expected one caption, not {len(captions)}")
    return captions[0]


def pairs(gts: Any, res: Any) -> tuple[list[Any], list[str], list[list[str]]]:
    """Images in the order of `gts`, the caption of each in `res`, and its references, for
    `corpus`."""
    gts, res = mapping("gts", gts), mapping("res", res)
    for first, second, name in ((gts, res, "res"), (res, gts, "gts")):
        lacking = [image for image in first if image not in second]
        if lacking:
            raise CaptionError(f"{name}: lacks image {lacking[0]!r} (of {len(lacking)})")
    images = list(gts)
    hypotheses = []
    for image in images:
        captions = res[image]
        single = type(captions) is list and len(captions) == 1
        hypotheses.append(captions[0] if single else one(f"res[{image!r}]", captions))
    return images, hypotheses, [gts[image] for image in images]


def corpus(
    images: Sequence[Any],
    hypotheses: Sequence[Any],
    references: Sequence[Any],
    split: str,
    names: tuple[str, str] = ("res", "gts"),
) -> _native.Corpus:
    """The captions of images for scores. `names` are what messages call the two."""
    try:
        return _native.Corpus(hypotheses, references, split)
    except (TypeError, ValueError):
        # Looks for what is wrong only now: to look at each caption takes longer than a score.
        for image, hypothesis, captions in zip(images, hypotheses, references):
            text(f"{names[0]}[{image!r}]", hypothesis)
            texts(f"{names[1]}[{image!r}]", captions)
        raise


def kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
