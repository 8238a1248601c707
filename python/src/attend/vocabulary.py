"""The words of a vocabulary, and captions as ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._words import split
from .errors import Error

PAD, UNK, START, END = SPECIALS = ("<pad>", "<unk>", "<start>", "<end>")

#: Name and version of the format of `vocab.json`.
FORMAT = "attend.vocabulary/1"


class Words:
    """Words and their ids: `<pad>` is 0, words are 1 to n, then come `<unk>`, `<start>` and
    `<end>`.

    >>> known = Words(["a", "dog"])
    >>> known.encode("A dog barks"), known.decode([4, 1, 2, 3, 5, 0]), len(known)
    ([4, 1, 2, 3, 5], 'a dog <unk>', 6)
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
        self.pad, self.unk = 0, len(self.words) + 1
        self.start, self.end = self.unk + 1, self.unk + 2

    def __len__(self) -> int:
        return len(self.words) + len(SPECIALS)

    def specials(self) -> dict[str, int]:
        """The ids of the special tokens."""
        return dict(zip(SPECIALS, (self.pad, self.unk, self.start, self.end)))

    def encode(self, caption: str) -> list[int]:
        """`<start>`, the ids of the caption's words, `<end>`."""
        inner = [self.ids.get(word, self.unk) for word in split(caption, self.tokenizer)]
        return [self.start, *inner, self.end]

    def decode(self, ids: Iterable[int]) -> str:
        """The caption of these ids, up to `<end>`, without `<start>` and `<pad>`."""
        found = []
        for number in map(int, ids):
            if number == self.end:
                break
            if number not in (self.start, self.pad):
                found.append(self.word(number))
        return " ".join(found)

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
