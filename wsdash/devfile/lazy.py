"""Imports a package's names when they are first used, so that importing the package is cheap."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def attributes(
    package: str, homes: Mapping[str, str], names: dict[str, object]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the package's `__getattr__` and `__dir__`. `homes` has each name's module, `names` is its globals()."""

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        names[name] = value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        return value

    return get, lambda: sorted([*names, *homes])
