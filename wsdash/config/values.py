"""Checks values of config.toml. Each function returns the value, or raises `WrongValue`, which says what is
accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

VOLUME_PATH = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
PLACEMENTS = ("source", "own")
DESKTOP_EDITORS = ("code", "codium", "cursor", "windsurf", "zed", "gateway")
"""The keys of `backend.access.desktop_editors`, which is not loaded to check them."""


MOST = 10_000_000
"""The largest number: as many hours are a thousand years, and an instant that far away still has a date."""


class WrongValue(Exception):
    """The key does not accept the value; the message says what it accepts."""


def flag(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise WrongValue("true or false")
    return value


def text(value: object) -> str:
    """Accept a string that is not empty and is printable."""
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise WrongValue("a text in quotes")
    return value


def number(value: object) -> float:
    """Accept a number above 0, up to `MOST`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST:
        raise WrongValue(f"a number above 0, up to {MOST}")
    return float(value)


def count(value: object) -> int:
    """Accept a whole number from 1 to `MOST`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise WrongValue(f"a whole number from 1 to {MOST}")
    return value


def numbers(value: object) -> tuple[float, ...]:
    """Accept a list of numbers above 0, up to `MOST`."""
    if not isinstance(value, list):
        raise WrongValue("a list of numbers above 0")
    return tuple(number(item) for item in value)


def texts(value: object) -> tuple[str, ...]:
    """Accept a list of printable strings, none of them empty."""
    if not isinstance(value, list):
        raise WrongValue("a list of texts in quotes")
    return tuple(text(item) for item in value)


def placement(value: object) -> str:
    """Accept one of `PLACEMENTS`."""
    if value not in PLACEMENTS:
        raise WrongValue(" or ".join(f'"{placement}"' for placement in PLACEMENTS))
    return str(value)


def url(value: object) -> str:
    """Accept an address without credentials, because config.toml holds no secrets."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text(value))
        fits = parts.scheme in ("https", "http") and parts.hostname and parts.username is None
        fits = fits and not parts.query and not parts.fragment and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits:
        raise WrongValue('an address such as "https://gitlab.example.com", without a user or a token')
    return str(value).rstrip("/")


def home_files(value: object) -> tuple[str, ...]:
    """Accept a list of relative paths without `..`, which are below the home folder."""
    names = texts(value)
    if any(name.startswith("/") or ".." in name.split("/") for name in names):
        raise WrongValue('paths below the home folder, such as [".bash_history"]')
    return names


def process_names(value: object) -> tuple[str, ...]:
    """Accept a list of process names: no blanks, and 15 characters at most, as Linux stores them (proc(5),
    comm).
    """
    names = texts(value)
    if any(len(name) > 15 or " " in name for name in names):
        raise WrongValue('names of processes, 15 letters at most, such as ["make"]')
    return names


def desktop_editor(value: object) -> str:
    """Accept one of `DESKTOP_EDITORS`."""
    if value not in DESKTOP_EDITORS:
        raise WrongValue(f"one of {', '.join(DESKTOP_EDITORS)}")
    return str(value)


def volume(value: object) -> str:
    """Accept the absolute path of a folder in jobs, as `VOLUME_PATH` defines it."""
    path = text(value)
    if VOLUME_PATH.fullmatch(path) is None:
        raise WrongValue('the path of a folder in the jobs, such as "/wsdash"')
    return path


def table(value: object) -> dict[str, object]:
    """Accept a table."""
    if not isinstance(value, dict):
        raise WrongValue("a table")
    return value


BY_TYPE: Mapping[str, Callable[[object], Any]] = {
    "bool": flag,
    "bool | None": flag,
    "str": text,
    "str | None": text,
    "float": number,
    "float | None": number,
    "int": count,
    "tuple[str, ...]": texts,
    "tuple[float, ...]": numbers,
}
"""The check of a setting whose field has this type."""
