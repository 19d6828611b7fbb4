"""Writes CI configurations as YAML that people can read, and that GitLab's parser reads as the same texts."""

from __future__ import annotations

import re
from typing import Any

import yaml

_FASTEST: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_FASTEST):  # type: ignore[misc]
    """Writes scripts as literal blocks, so that a person can read the commands."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401
        return True


_PLAIN = re.compile(r"(?!(?:yes|no|on|off|y|n|true|false|null)$)[A-Za-z_/$](?!\[\[)", re.IGNORECASE)
"""Beginnings of texts that every YAML parser reads as strings.

GitLab's (Psych) does not read `1,000`, `0:30`, `:x` and `yEs` as strings, and inserts inputs before it parses.
"""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.match(text) else "'"
    # A literal block cannot contain characters that YAML 1.1 treats as other line breaks.
    if "\n" in text and not re.search("[\r\x85\u2028\u2029]", text):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def yaml_of(document: dict[str, Any]) -> str:
    """Return the document as YAML. Raises `yaml.YAMLError` and `UnicodeEncodeError` for an unrepresentable text."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
