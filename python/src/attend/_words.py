"""Splits captions into words, as attend's own tokenizers do."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from re import Pattern

from . import _unicode
from .errors import Error

UNK = "<unk>"
_SPECIAL = re.compile("<pad>|<unk>|<start>|<end>")


def split(caption: str, tokenizer: str = "lowercase-alphanumeric") -> list[str]:
    """The words of a caption. `<unk>` stays; the other special tokens say nothing about the
    image and are left out.

    >>> split("A dog's <start> ball--RED, <unk>!")
    ['a', 'dogs', 'ball', 'red', '<unk>']
    >>> split("L'été à 3.5 km, it's 東京", "unicode-words")
    ["l'été", 'à', '3.5', 'km', "it's", '東', '京']
    """
    plain: Callable[[str], list[str]]
    if tokenizer == "lowercase-alphanumeric":
        text, plain = caption.lower().replace("'", ""), _plain().findall
    elif tokenizer == "unicode-words":
        text, plain = caption.lower(), _by_boundaries
    else:
        raise Error(f"this package does not know the tokenizer {tokenizer!r}")
    found: list[str] = []
    at = 0
    for special in _SPECIAL.finditer(text):
        found += plain(text[at : special.start()])
        found += [UNK] if special[0] == UNK else []
        at = special.end()
    return found + list(plain(text[at:]))


def _class(*names: str) -> str:
    """The characters of these properties, to stand between [ and ]."""
    ranges = " ".join(getattr(_unicode, name) for name in names).split()
    return "".join("-".join(f"\\U{end:0>8}" for end in pair.split("-")) for pair in ranges)


@cache
def _plain() -> Pattern[str]:
    return re.compile(rf"(?:[^\W_]|[{_class('ALPHANUMERIC')}])+")


def _by_boundaries(text: str) -> list[str]:
    """The pieces between Unicode's word boundaries (UAX 29) that have a letter or digit."""
    return [piece for piece in _pieces().findall(text) if _plain().search(piece)]


@cache
def _pieces() -> Pattern[str]:
    """UAX 29 as one pattern, without WB3c: emoji behind a joiner are no part of a word."""
    attached = _class("ATTACHED")
    a = f"[{attached}]*"  # WB4
    letter, hebrew = _class("LETTER", "HEBREW"), _class("HEBREW")
    number, kata, joins = _class("NUMBER"), _class("KATAKANA"), _class("CONNECTOR")
    within_word, within_number = _class("MIDDLE_OF_LETTERS"), _class("MIDDLE_OF_NUMBERS")
    part = (
        f'(?:[{hebrew}]{a}"{a}(?=[{hebrew}])'  # WB7b, 7c
        f"|[{letter}]{a}[{within_word}]{a}(?=[{letter}])"  # WB6, 7
        f"|[{number}]{a}[{within_number}]{a}(?=[{number}])"  # WB11, 12
        f"|[{letter}{number}]{a})"  # WB5, 8 to 10
    )
    run = f"(?:{part}+|(?:[{kata}]{a})+)"  # WB13
    joint = f"(?:[{joins}]{a})"  # WB13a, 13b
    quote = f"[{hebrew}]{a}'{a}(?![{letter}{attached}])"  # WB7a
    quoted = f"{joint}*(?:{run}{joint}+)*{part}*{quote}"
    word = f"{quoted}|{joint}*{run}(?:{joint}+{run})*{joint}*|{joint}+"
    line_break, space = _class("LINE_BREAK"), _class("SPACE")
    other = f"[{line_break}]|[{space}]+{a}|[^{line_break}]{a}"  # WB3a, 3b, 3d
    return re.compile(f"{word}|{other}")
