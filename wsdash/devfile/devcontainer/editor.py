"""`customizations.vscode`: a step hands settings and extensions to `customize_editor.sh`, which knows the editors.

`settings` and `extensions` beside it are those of Dev Containers before 2022.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.parse.tree import Array, KeyPath, Object
from wsdash.workload import Command

STEP = "vscode"
LARGEST = 100 * 1024
"""A command line of much more than this starts no process."""
MOST_EXTENSIONS = 200
_SCRIPT = 'sh "$WSDASH_SCRIPTS/customize_editor.sh"'


def editor(root: Object, report: Report) -> tuple[Command, ...]:
    """Return the step that hands them over, whose failure stops no other step; none where nothing is requested."""
    customizations = report.mapping(root, "customizations")
    vscode = report.mapping(customizations, "vscode", ("customizations",))
    settings: dict[str, Any] = {}
    extensions: list[str] = []
    for holder, path in ((root, ()), (vscode, ("customizations", "vscode"))):
        settings |= _settings(holder, path, report)
        extensions += _extensions(holder, path, report)
    lines = []
    if settings:
        text = json.dumps(settings, ensure_ascii=False)
        lines.append(f"printf '%s\\n' {shlex.quote(text)} | {_SCRIPT} settings")
    if extensions:
        names = shlex.join(dict.fromkeys(extensions))
        lines.append(f"printf '%s\\n' {names} | {_SCRIPT} extensions")
    return (Command(STEP, "\n".join(lines)),) if lines else ()


def _settings(holder: Object, path: KeyPath, report: Report) -> dict[str, Any]:
    settings = report.mapping(holder, "settings", path)
    text = json.dumps(settings, ensure_ascii=False)
    if len(text.encode("utf-8", "replace")) > LARGEST or "\0" in text:
        report.add("devcontainer.editor", (*path, "settings"), "the settings are too large, and left out", "")
        return {}
    return dict(settings)


def _extensions(holder: Object, path: KeyPath, report: Report) -> list[str]:
    listed = holder.get("extensions")
    names = [one for one in listed if isinstance(one, str)] if isinstance(listed, Array) else []
    names = [one for one in names if one.isprintable() and " " not in one and not one.startswith("-")]
    if names:
        message = "an editor that is opened installs the extensions, if its marketplace has them"
        report.add(
            "devcontainer.editor", (*path, "extensions"), message, "nothing to do, mostly", on_key=True
        )
    return names[:MOST_EXTENSIONS]
