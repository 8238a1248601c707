"""The tool's tokeniser and scorers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _native
from ._captions import CaptionError, corpus, kind, mapping, pairs, text, texts
from ._files import replaced

if TYPE_CHECKING:  # it takes more memory than the scores
    import numpy as np

Captions = Mapping[Any, Sequence[str]]


class PTBTokenizer:
    """The Penn Treebank tokeniser of the tool: lower case, no punctuation.

    >>> PTBTokenizer().tokenize({7: [{"caption": "A man's T-shirt."}]})
    {7: ["a man 's t-shirt"]}
    """

    def tokenize(
        self, captions_for_image: Mapping[Any, Sequence[Mapping[str, str]]]
    ) -> dict[Any, list[str]]:
        """Tokenises `{image: [{"caption": text}, …]}` into `{image: [words joined by blanks]}`."""
        images, captions = [], []
        for image, rows in mapping("captions_for_image", captions_for_image).items():
            what = f"captions_for_image[{image!r}]"
            if not isinstance(rows, (list, tuple)):
                raise CaptionError(
                    f'{what}: expected a list of {{"caption": text}}, not {kind(rows)}'
                )
            for row in rows:
                # A check of an abstract type costs more than the rest.
                if not (type(row) is dict or isinstance(row, Mapping)) or "caption" not in row:
                    raise CaptionError(f'{what}: expected {{"caption": text}}, not {row!r:.80}')
                images.append(image)
                captions.append(text(what, row["caption"]).replace("\n", " "))
        tokenised: dict[Any, list[str]] = {}
        for image, caption in zip(images, _native.tokenize(captions)):
            tokenised.setdefault(image, []).append(caption)
        return tokenised


class Bleu:
    """BLEU-1 to BLEU-`n`."""

    def __init__(self, n: int = 4) -> None:
        if n not in (1, 2, 3, 4):
            raise ValueError(f"n = {n!r}: expected 1 to 4")
        self._n = n

    def compute_score(
        self, gts: Captions, res: Captions, verbose: int = 1
    ) -> tuple[list[float], list[list[float]]]:
        """For each n the score of all images, and those of each image."""
        del verbose  # the tool prints its counts
        scores = corpus(*pairs(gts, res), "space").bleu()[: self._n]
        return [of_all for of_all, _ in scores], [of_image for _, of_image in scores]

    def method(self) -> str:
        return "Bleu"


class Rouge:
    """ROUGE-L."""

    def __init__(self) -> None:
        self.beta = 1.2

    def calc_score(self, candidate: Sequence[str], refs: Sequence[str]) -> float:
        """The score of one image."""
        score, _ = self.compute_score({0: refs}, {0: candidate})
        return float(score)

    def compute_score(self, gts: Captions, res: Captions) -> tuple[np.float64, np.ndarray]:
        """The mean score, and those of each image."""
        return _numpy(corpus(*pairs(gts, res), "blanks").rouge())

    def method(self) -> str:
        return "Rouge"


class Cider:
    """CIDEr-D, which the tool calls CIDEr; document frequencies of the images scored."""

    def __init__(self, test: Any = None, refs: Any = None, n: int = 4, sigma: float = 6.0) -> None:
        del test, refs  # the tool does not use them
        _as_the_tools(n, sigma)

    def compute_score(self, gts: Captions, res: Captions) -> tuple[np.float64, np.ndarray]:
        """The mean score, and those of each image."""
        return _numpy(corpus(*pairs(gts, res), "space").cider())

    def method(self) -> str:
        return "CIDEr"


class DocumentFrequencies:
    """For each n-gram, the number of images whose references contain it.

    >>> frequencies = DocumentFrequencies({1: ["a cat"], 2: ["a dog", "the dog"]})
    """

    def __init__(self, references: Union[Captions, _native.Frequencies]) -> None:
        if not isinstance(references, _native.Frequencies):
            references = mapping("references", references)
            lists = [texts(f"references[{image!r}]", references[image]) for image in references]
            references = _native.Frequencies(lists)
        self._native = references

    @staticmethod
    def read(path: Union[str, os.PathLike[str]]) -> DocumentFrequencies:
        """Reads a table that `write` or `attend-score --save-frequencies` has written."""
        return DocumentFrequencies(_native.Frequencies.read(os.fspath(path)))

    def write(self, path: Union[str, os.PathLike[str]]) -> None:
        """Writes the table as text."""
        with replaced(Path(path)) as part:
            self._native.write(str(part))


class CiderD:
    """CIDEr-D with document frequencies of one's own, as a score and as a reward.

    `df` is `"corpus"` (the images scored), a `DocumentFrequencies`, the path of one, or
    `{image: [tokenised references]}`: then the frequencies are counted over these, and
    `rewards` compares captions with them.

    >>> reward = CiderD({1: ["a cat", "a black cat"], 2: ["a dog"]})
    >>> good, bad = reward.rewards([1, 1], ["a cat", "a dog"])
    >>> bool(good > bad)
    True
    """

    def __init__(
        self,
        df: Union[str, os.PathLike[str], DocumentFrequencies, Captions] = "corpus",
        n: int = 4,
        sigma: float = 6.0,
        references: Optional[Captions] = None,
    ) -> None:
        _as_the_tools(n, sigma)
        self._frequencies: Optional[DocumentFrequencies] = None
        if isinstance(df, Mapping):
            references = df if references is None else references
            self._frequencies = DocumentFrequencies(df)
        elif isinstance(df, DocumentFrequencies):
            self._frequencies = df
        elif df != "corpus":
            self._frequencies = DocumentFrequencies.read(df)
        self._index: dict[Any, int] = {}
        self._rewards: Optional[_native.Rewards] = None
        if references is not None:
            references = mapping("references", references)
            lists = [texts(f"references[{image!r}]", references[image]) for image in references]
            self._index = {image: index for index, image in enumerate(references)}
            self._rewards = _native.Rewards(lists, self._table())

    def _table(self) -> Optional[_native.Frequencies]:
        return self._frequencies and self._frequencies._native

    def compute_score(self, gts: Captions, res: Any) -> tuple[np.float64, np.ndarray]:
        """The mean score, and those of each caption. `res` is a dict as for the other scorers,
        or a list of `{"image_id": image, "caption": [text]}`, also several of an image."""
        gts = mapping("gts", gts)
        if isinstance(res, Mapping):
            captions = corpus(*pairs(gts, res), "space")
        else:
            hypotheses, references = [], []
            for number, row in enumerate(res):
                what = f"res[{number}]"
                if not isinstance(row, Mapping) or not {"image_id", "caption"} <= row.keys():
                    raise CaptionError(
                        f'{what}: expected {{"image_id", "caption"}}, not {row!r:.80}'
                    )
                image = row["image_id"]
                if image not in gts:
                    raise CaptionError(f"{what}: gts lacks image {image!r}")
                hypotheses.append(texts(what, row["caption"])[0])
                references.append(texts(f"gts[{image!r}]", gts[image]))
            captions = _native.Corpus(hypotheses, references, "space")
        return _numpy(captions.cider(self._table()))

    def rewards(self, ids: Iterable[Any], texts: Iterable[str]) -> np.ndarray:
        """CIDEr-D of each tokenised caption against the references of its image, on all cores
        and without Python's lock."""
        if self._rewards is None:
            raise ValueError(
                "rewards needs references: CiderD(df={image: [captions]}) or references="
            )
        index = self._index
        images = list(ids)
        try:
            numbers = [index[image] for image in images]
        except (KeyError, TypeError):
            unknown = next(image for image in images if _unknown(image, index))
            raise CaptionError(f"ids: there are no references of {unknown!r}") from None
        captions = list(texts)
        import numpy as np

        try:
            return np.array(self._rewards.scores(numbers, captions))
        except (TypeError, UnicodeEncodeError):
            for number, caption in enumerate(captions):
                text(f"texts[{number}]", caption)
            raise

    def method(self) -> str:
        return "CIDEr-D"


class Meteor:
    """METEOR 1.5. `folder` holds its data; `python -m attend_score setup-meteor` brings it."""

    def __init__(self, folder: Union[None, str, os.PathLike[str]] = None) -> None:
        self._folder = None if folder is None else os.fspath(folder)

    def compute_score(self, gts: Captions, res: Captions) -> tuple[float, list[float]]:
        """The score of all images, and those of each image."""
        return corpus(*pairs(gts, res), "blanks").meteor(self._folder)

    def method(self) -> str:
        return "METEOR"


def _numpy(score: tuple[float, list[float]]) -> tuple[np.float64, np.ndarray]:
    """A score as the tool returns it."""
    import numpy as np

    of_all, of_image = score
    return np.float64(of_all), np.array(of_image)


def _unknown(image: Any, index: dict[Any, int]) -> bool:
    try:
        return image not in index
    except TypeError:  # it can't be a key
        return True


def _as_the_tools(n: int, sigma: float) -> None:
    if n != 4 or sigma != 6.0:
        raise ValueError(f"n = {n!r}, sigma = {sigma!r}: only the tool's n = 4 and sigma = 6.0")
