"""The value of a plain YAML scalar, as the reference parser reads it.

devfile/library reads YAML through go-yaml v2, whose YAML 1.1 differs from PyYAML's in many forms: `y` and
`n` are booleans, `1e9`, `08` and `0o17` are numbers, dates and `12:30` are strings.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{sign + word: math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FIRST = frozenset("yYnNtTfFoO~.+-0123456789")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 400
"""Longer strings of digits stay strings; no field of a devfile accepts such a number."""


def resolve(text: str) -> Scalar:
    """Return the value of a scalar that is written without quotes and without a tag.

    >>> resolve("y"), resolve("1e3"), resolve("0o17"), resolve("12:30"), resolve("2026-01-02")
    (True, 1000.0, 15, '12:30', '2026-01-02')
    """
    if text and text[0] not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "yYnNtTfFoO~" or len(text) > _LONGEST_NUMBER:
        return text
    return _number(text)


def _number(text: str) -> str | int | float:
    plain = text if text[0] == "." else text.replace("_", "")
    if (found := _INTEGER.fullmatch(plain)) and (value := _integer(found)) is not None:
        return value
    if _FLOAT.fullmatch(plain):
        number = float(plain)
        return text if math.isinf(number) else number
    return text


def _integer(found: re.Match[str]) -> int | None:
    """Return the integer, None if it exceeds 64 bits (it is then read as a float, if it is decimal)."""
    sign, hexadecimal, binary, octal, decimal = found.groups()
    if hexadecimal:
        value = int(hexadecimal, 16)
    elif binary:
        value = int(binary, 2)
    else:
        value = int(octal, 8) if octal else int(decimal)
    value = -value if sign == "-" else value
    largest = 2**63 if sign else 2**64
    return value if -(2**63) <= value < largest else None
