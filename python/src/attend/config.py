"""Configs: TOML files, whose values `--set section.key=value` overrides."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import Usage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Section -> key -> value.
Parameters = dict[str, dict[str, Any]]


def load(
    defaults: Mapping[str, Mapping[str, Any]], path: Path | None, overrides: Iterable[str]
) -> Parameters:
    """The effective parameters: the defaults, overridden by the file's values, and these by
    `overrides` (`section.key=value`). Ignores sections of other programs; refuses keys that
    the defaults don't have, and values of another type.

    >>> load({"train": {"epochs": 3, "rate": 1.0}}, None, ["train.rate=2"])
    {'train': {'epochs': 3, 'rate': 2.0}}
    >>> load({"train": {"epochs": 3}}, None, ["train.epoch=4"])
    Traceback (most recent call last):
    attend.errors.Usage: --set train.epoch=4: [train] has no key `epoch`; the nearest is `epochs`
    """
    found: Parameters = {section: dict(keys) for section, keys in defaults.items()}
    for section, content, lines in _sections(path):
        if section not in found:
            near = nearest(section, found)
            if near and _edits(section, near) == 1:
                raise Usage(f"{lines['']}: no section [{section}]; did you mean [{near}]?")
            continue
        if not isinstance(content, dict):
            raise Usage(f"{lines['']}: [{section}] must be a section, not a value")
        for key, value in content.items():
            place = lines.get(key, str(path))
            found[section][key] = _checked(defaults[section], section, key, value, place)
    for item in overrides:
        name, equals, text = item.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot:
            raise Usage(f"--set {item}: expected section.key=value")
        if section in found:
            place = f"--set {item}"
            value = _typed(defaults[section].get(key), text)
            found[section][key] = _checked(defaults[section], section, key, value, place)
    return found


def _sections(path: Path | None) -> list[tuple[str, Any, dict[str, str]]]:
    """The sections of a file: name, content, and where each key stands."""
    if path is None:
        return []
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Usage(f"{path}: no such file") from None
    except OSError as why:
        raise Usage(f"{path}: {why.strerror}") from None
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as why:
        line = data[: why.start].count(b"\n") + 1
        raise Usage(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        raise Usage(f"{path}: {why}") from None
    lines = _lines(text)

    def places(section: str) -> dict[str, str]:
        keys = {key: f"{path}:{line}" for (name, key), line in lines.items() if name == section}
        return {"": str(path), **keys}

    return [(section, content, places(section)) for section, content in table.items()]


def _lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each section (with an empty key) and key, as far as a glance shows it."""
    lines: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([\w-]+)\s*\]", line)
        key = re.match(r"\s*(?:([\w-]+)\s*\.\s*)?([\w-]+)\s*=", line)
        if header:
            section = header[1]
            lines.setdefault((section, ""), number)
        elif key:
            name = section or key[1] or key[2]
            lines.setdefault((name, ""), number)
            lines.setdefault((name, key[2]), number)
    return lines


def _typed(default: Any, text: str) -> Any:
    """The value of `text` on the command line: TOML, or a string that needs no quotes."""
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text
    bare = not isinstance(value, (str, list, dict))
    return text if isinstance(default, str) and bare else value


def _checked(known: Mapping[str, Any], section: str, key: str, value: Any, place: str) -> Any:
    if key not in known:
        near = nearest(key, known)
        hint = f"; the nearest is `{near}`" if near else ""
        raise Usage(f"{place}: [{section}] has no key `{key}`{hint}")
    default = known[key]
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, bool):
        fits, expected = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        fits, expected = whole, "a whole number"
    elif isinstance(default, float):
        fits, expected = whole or isinstance(value, float), "a number"
        value = float(value) if whole else value
    elif isinstance(default, str):
        fits, expected = isinstance(value, (str, list)), "a string"
    elif isinstance(default, (list, tuple)):
        fits, expected = isinstance(value, (list, dict)), "a list"
    elif isinstance(default, dict):
        fits, expected = isinstance(value, dict), "a table"
    else:
        fits, expected = True, ""
    if not fits or not _is_json(value):
        shown = str(value).lower() if isinstance(value, bool) else value
        raise Usage(f"{place}: {section}.{key} must be {expected or 'no date'}, not `{shown}`")
    return _expanded(value, f"{place}: {section}.{key}")


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, (str, bool, int, float))


def _expanded(value: Any, place: str) -> Any:
    """Replaces `${NAME}` by the environment's value."""
    if isinstance(value, dict):
        return {key: _expanded(item, place) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, place) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise Usage(
                f'{place} = "{value}" needs the environment variable {match[1]}, which is not'
                " set; set it, or write the path literally"
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{([^}]*)\}", variable, value)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name with the fewest edits from `word`, if these are fewer than the letters of
    the longer one.

    >>> nearest("lerning_rate", ["batch", "learning_rate"]), nearest("x", ["batch"])
    ('learning_rate', None)
    """
    pairs = [(_edits(word, name), name) for name in known]
    pairs = [(edits, name) for edits, name in pairs if edits < max(len(word), len(name))]
    return min(pairs)[1] if pairs else None


def _edits(a: str, b: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours from `a` to `b`."""
    rows = [list(range(len(b) + 1))]
    for i in range(1, len(a) + 1):
        row = [i]
        for j in range(1, len(b) + 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and (a[i - 1], a[i - 2]) == (b[j - 2], b[j - 1]):
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
