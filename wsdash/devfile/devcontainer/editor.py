"""`customizations.vscode`: writes settings to VS Code's machine settings, and installs extensions where
possible.

VS Code reads `~/.vscode-server/data/Machine/settings.json` when it connects by Remote-SSH ("Developing with
Remote-SSH").
"""

from __future__ import annotations

import json
import shlex

from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.parse.tree import Array, KeyPath, Object
from wsdash.workload import Command

STEP = "vscode"
LARGEST = 100 * 1024
"""A command line of much more than this starts no process."""
_MACHINE = "$HOME/.vscode-server/data/Machine"


def editor(root: Object, report: Report) -> tuple[Command, ...]:
    """Return the step that installs them, whose failure stops no other step; none where nothing is requested."""
    customizations = report.mapping(root, "customizations")
    vscode = report.mapping(customizations, "vscode", ("customizations",))
    lines = []
    for holder, path in ((vscode, ("customizations", "vscode")), (root, ())):
        lines += _settings(holder, path, report)
        lines += _extensions(holder, path, report)
    return (Command(STEP, "\n".join(lines)),) if lines else ()


def _settings(holder: Object, path: KeyPath, report: Report) -> list[str]:
    settings = report.mapping(holder, "settings", path)
    if not settings:
        return []
    text = json.dumps(settings, ensure_ascii=False)
    if len(text.encode("utf-8", "replace")) > LARGEST or "\0" in text:
        report.add("devcontainer.editor", (*path, "settings"), "the settings are too large, and left out", "")
        return []
    file = f'"{_MACHINE}/settings.json"'
    return [f'mkdir -p "{_MACHINE}"', f"[ -e {file} ] || printf '%s\\n' {shlex.quote(text)} >{file}"]


def _extensions(holder: Object, path: KeyPath, report: Report) -> list[str]:
    listed = holder.get("extensions")
    names = [one for one in listed if isinstance(one, str)] if isinstance(listed, Array) else []
    names = [one for one in names if "\0" not in one and not one.startswith("-")][:200]
    if not names:
        return []
    message = (
        "the extensions are installed where the image has code-server; other editors install them themselves"
    )
    report.add("devcontainer.editor", (*path, "extensions"), message, "nothing to do, mostly", on_key=True)
    words = " ".join(shlex.quote(name) for name in names)
    install = 'code-server --install-extension "$name" || true'
    return [f"! command -v code-server >/dev/null || for name in {words}; do {install}; done"]
