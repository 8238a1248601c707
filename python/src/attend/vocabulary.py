"""The words of a vocabulary, and captions as ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._words import split
from .errors import Error

PAD, UNK, START, END = SPECIALS = ("<pad>", "<unk>", "<start>", "<end>")

#: Name and version of the format of `vocab.json`.
FORMAT = "attend.vocabulary/1"
#: The begin of a piece that continues the word before it. No tokenizer makes such a word.
PIECE = "##"


def join(words: Iterable[str]) -> str:
    """A caption of words and pieces.

    >>> join(["a", "walk", "##ing", "dog"])
    'a walking dog'
    """
    return " ".join(words).replace(" " + PIECE, "")


class Words:
    """Words and their ids: `<pad>` is 0, words are 1 to n, then come `<unk>`, `<start>` and
    `<end>`.

    >>> known = Words(["a", "dog"])
    >>> known.encode("A dog barks"), known.decode([4, 1, 2, 3, 5, 0]), len(known)
    ([4, 1, 2, 3, 5], 'a dog <unk>', 6)

    A word that begins with `##` is a piece: it continues the word before it. Captions are cut
    into the longest pieces from the left.

    >>> pieces = Words(["dog", "do", "##s", "##g", "##ing"])
    >>> pieces.encode("Dogs doing"), pieces.decode([1, 3, 2, 5])
    ([7, 1, 3, 2, 5, 8], 'dogs doing')
    """

    def __init__(self, words: Iterable[str], tokenizer: str = "lowercase-alphanumeric") -> None:
        self.words = list(words)
        self.tokenizer = tokenizer
        self.ids: dict[str, int] = {word: n for n, word in enumerate(self.words, 1)}
        wrong = [word for word in self.words if not word or word in SPECIALS]
        if wrong:
            raise Error(f"{wrong[0]!r} is not a word")
        if len(self.ids) != len(self.words):
            raise Error("a word occurs twice")
        self._has_pieces = any(word.startswith(PIECE) for word in self.words)
        self.pad, self.unk = 0, len(self.words) + 1
        self.start, self.end = self.unk + 1, self.unk + 2

    def __len__(self) -> int:
        return len(self.words) + len(SPECIALS)

    def specials(self) -> dict[str, int]:
        """The ids of the special tokens."""
        return dict(zip(SPECIALS, (self.pad, self.unk, self.start, self.end)))

    def encode(self, caption: str) -> list[int]:
        """`<start>`, the ids of the caption's words, `<end>`."""
        inner = [n for word in split(caption, self.tokenizer) for n in self._cut(word)]
        return [self.start, *inner, self.end]

    def _cut(self, word: str) -> list[int]:
        """The ids of a word's pieces, or that of `<unk>`."""
        found, at = [], 0
        while at < len(word):
            mark = PIECE if at else ""
            ends = range(len(word), at, -1) if self._has_pieces else [len(word)]
            cut = next((end for end in ends if mark + word[at:end] in self.ids), None)
            if cut is None:
                return [self.unk]
            found.append(self.ids[mark + word[at:cut]])
            at = cut
        return found

    def decode(self, ids: Iterable[int]) -> str:
        """The caption of these ids, up to `<end>`, without `<start>` and `<pad>`."""
        found = []
        for number in map(int, ids):
            if number == self.end:
                break
            if number not in (self.start, self.pad):
                found.append(self.word(number))
        return join(found)

    def word(self, number: int) -> str:
        """The word or special token of an id."""
        if not 0 <= number < len(self):
            raise Error(f"{number} is no id of this vocabulary of {len(self)}")
        if number == self.pad:
            return PAD
        return (
            [*self.words, UNK, START, END][number - 1]
            if number >= self.unk
            else self.words[number - 1]
        )

    def file(self, counts: Iterable[int], min_count: int, max_length: int) -> dict[str, Any]:
        """The content of `vocab.json`: `counts` are those of the words in the train split;
        rarer words than `min_count` and longer captions than `max_length` were left out."""
        rows = zip(self.words, self.ids.values(), counts)
        return {
            "format": FORMAT,
            "tokenizer": self.tokenizer,
            "min_count": int(min_count),
            "max_length": int(max_length),
            "specials": dict(sorted(self.specials().items())),
            "words": [{"word": word, "id": n, "count": int(count)} for word, n, count in rows],
        }
