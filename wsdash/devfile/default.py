"""The devfile of a workspace whose repository has none."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from wsdash.devfile.schema.document import Document, load, with_variables


def default_document(image: str | None = None) -> Document:
    """Return the default devfile, with another image if one is given."""
    document = _default()
    return document if image is None else with_variables(document, {"image": image})


@cache
def _default() -> Document:
    text = files("wsdash.devfile").joinpath("default.yaml").read_bytes()
    return load(text, file="default.yaml")
