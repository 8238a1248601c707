"""Writes src/attend/_unicode.py: properties of characters that Python's own tables lack, from
those of the `regex` package. Run it with Python 3.9, so that the letters newer than its tables
are in the list: `pip install regex && python3.9 unicode_data.py`."""

from __future__ import annotations

import textwrap
from pathlib import Path

import regex

PROPERTIES = {
    "ALPHANUMERIC": r"[\p{Alphabetic}\p{N}]",
    "LETTER": r"\p{WB=ALetter}",
    "HEBREW": r"\p{WB=Hebrew_Letter}",
    "NUMBER": r"\p{WB=Numeric}",
    "KATAKANA": r"\p{WB=Katakana}",
    "CONNECTOR": r"\p{WB=ExtendNumLet}",
    "MIDDLE_OF_LETTERS": r"[\p{WB=MidLetter}\p{WB=MidNumLet}\p{WB=Single_Quote}]",
    "MIDDLE_OF_NUMBERS": r"[\p{WB=MidNum}\p{WB=MidNumLet}\p{WB=Single_Quote}]",
    "ATTACHED": r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]",
    "SPACE": r"\p{WB=WSegSpace}",
    "LINE_BREAK": r"[\p{WB=CR}\p{WB=LF}\p{WB=Newline}]",
}


def ranges(pattern: str, skip: bool) -> str:
    found: list = []
    match = regex.compile(pattern).match
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000 or not match(chr(c)) or (skip and chr(c).isalnum()):
            continue
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in found)


lines = ['"""Properties of characters (Unicode 17), written by unicode_data.py."""\n']
for name, pattern in PROPERTIES.items():
    text = textwrap.wrap(ranges(pattern, skip=name == "ALPHANUMERIC"), 94, break_on_hyphens=False)
    lines.append(f'{name} = """\n' + "\n".join(text) + '\n"""')
Path(__file__).with_name("src").joinpath("attend", "_unicode.py").write_text(
    "\n".join(lines) + "\n"
)
