"""Devfiles with a parent, flattened, and what came of it."""

from __future__ import annotations

from typing import Any

import yaml

from wsdash.devfile import Document, flatten, load, to_yaml

CHILD = """\
schemaVersion: 2.2.0
metadata: {name: child}
parent: {uri: base.yaml}
"""


def flat(child: str, **files: str) -> Document:
    """`base` stands for the file base.yaml."""
    return flatten(load(child), read_parent={f"{name}.yaml": text for name, text in files.items()}.get)


def codes(document: Document) -> list[str]:
    return [remark.code for remark in document.diagnostics]


def content(document: Document) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(to_yaml(document))
    return value
