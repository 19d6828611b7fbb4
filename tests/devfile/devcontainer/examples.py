"""Short ways to translate a Dev Container in a test."""

from __future__ import annotations

import json
from collections.abc import Mapping

from wsdash.devfile import Translation
from wsdash.devfile.devcontainer import load_devcontainer, missing_files, translate_devcontainer
from wsdash.workload import Source

SOURCE = Source("https://git.example/shop/api.git", folder="api")


def translated(
    properties: Mapping[str, object] | str, files: Mapping[str, str] | None = None, **options: object
) -> Translation:
    """The translation, with files of the repository by their paths from its root."""
    text = properties if isinstance(properties, str) else json.dumps(properties)
    document = load_devcontainer(text)
    have: dict[str, bytes | None] = {}
    while missing := missing_files(document, have):
        have |= {
            name: found.encode() if (found := (files or {}).get(name)) is not None else None
            for name in missing
        }
    return translate_devcontainer(document, files=have, source=SOURCE, **options)  # type: ignore[arg-type]


def codes(translation: Translation) -> set[str]:
    return {diagnostic.code for diagnostic in translation.diagnostics}


def reported_by(translation: Translation) -> str:
    return "\n".join(f"{d.severity} {d.code} {d.message} {d.hint}" for d in translation.diagnostics)


def env(translation: Translation) -> dict[str, str]:
    return {variable.name: variable.value for variable in translation.workload.env}
