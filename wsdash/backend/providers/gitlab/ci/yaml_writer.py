"""Writes CI configurations as YAML that people can read, and that GitLab's reader takes for the same texts."""

from __future__ import annotations

import re
from typing import Any

import yaml

_FASTEST: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_FASTEST):  # type: ignore[misc]
    """Scripts as literal blocks, so that a person can read what will run."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401
        return True


_PLAIN = re.compile(r"(?!(?:yes|no|on|off|y|n|true|false|null)$)[A-Za-z_/$](?!\[\[)", re.IGNORECASE)
"""Starts of texts that no reader of YAML takes for anything else.

GitLab's (Psych) takes `1,000`, `0:30`, `:x` and `yEs` for no strings, and puts inputs in before it reads.
"""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.match(text) else "'"
    # A literal block cannot hold what YAML 1.1 takes for other line breaks.
    if "\n" in text and not re.search("[\r\x85\u2028\u2029]", text):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def yaml_of(document: dict[str, Any]) -> str:
    """Raises `yaml.YAMLError` and `UnicodeEncodeError` for a text that YAML cannot hold."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
