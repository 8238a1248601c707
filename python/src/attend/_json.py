"""JSON with numbers as `serde_json` writes them. A manifest's digest is that of its bytes."""

from __future__ import annotations

import json
import math
from typing import Any


def number(value: float) -> str:
    """The shortest decimal that reads back as `value`: without an exponent from 1e-5 up to
    1e16, and always with a point or an exponent.

    >>> [number(x) for x in (10.0, 1e-3, 1e-5, 1e-8, 1.5e-8, 1e15, 1e16, -0.0)]
    ['10.0', '0.001', '0.00001', '1e-8', '1.5e-8', '1000000000000000.0', '1e+16', '-0.0']
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} has no form in JSON")
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, part = mantissa.partition(".")
    digits = (whole + part).lstrip("0")
    # The power of ten of the first digit.
    exponent = int(power or 0) + len(whole) - 1 - (len(whole + part) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return sign + "0.0"
    if not -5 <= exponent <= 15:
        point = "." if digits[1:] else ""
        return f"{sign}{digits[0]}{point}{digits[1:]}e{exponent:+d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    digits = digits.ljust(exponent + 1, "0")
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :] or '0'}"


def dumps(value: Any, indent: int = 0, sort: bool = False, _level: int = 0) -> str:
    """`value` as JSON: compact, or over several lines if `indent` is not 0.

    >>> dumps({"b": [1, 2.0, None], "a": "\\x7f\\n"}, sort=True)
    '{"a":"\\x7f\\\\n","b":[1,2.0,null]}'
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return str(int(value))
    if isinstance(value, (int, float)):
        return number(float(value))
    outer = "\n" + " " * (indent * _level) if indent else ""
    inner = outer + " " * indent

    def inside(item: Any) -> str:
        return dumps(item, indent, sort, _level + 1)

    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys of JSON objects are strings")
        keys = sorted(value) if sort else value
        colon = ": " if indent else ":"
        items, (begin, end) = [inside(key) + colon + inside(value[key]) for key in keys], "{}"
    elif isinstance(value, (list, tuple)):
        items, (begin, end) = [inside(item) for item in value], "[]"
    else:
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    if not items:
        return begin + end
    return begin + inner + ("," + inner).join(items) + outer + end


def loads(text: str | bytes) -> Any:
    """Reads JSON; `-0` stays negative, and numbers that JSON doesn't have are refused.

    >>> dumps(loads("[-0, 1E2]"))
    '[-0.0,100.0]'
    """

    def whole(text: str) -> Any:
        return -0.0 if text == "-0" else int(text)

    def refuse(text: str) -> Any:
        raise ValueError(f"{text} is no number of JSON")

    return json.loads(text, parse_int=whole, parse_constant=refuse)
