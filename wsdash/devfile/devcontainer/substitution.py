"""Substitutes the variables `${...}` of a Dev Container (containers.dev, "Variables in devcontainer.json").

A job does not run on the user's machine: "local" values are those that the caller gives, and folders are those
of the job's clone. Values known only inside the job stay as `${NAME}`, with the name in `expands`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import KeyPath

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOLDERS = ("localWorkspaceFolder", "containerWorkspaceFolder")
SOURCE = "PROJECT_SOURCE"


@dataclass(frozen=True, slots=True)
class Substituted:
    """A text in which the job replaces `${NAME}` by the value of each variable in `expands`."""

    text: str
    expands: tuple[str, ...] = ()


@dataclass(slots=True)
class Substitution:
    """Substitutes variables. `local_env` has the local variables that jobs may get; `folder_name` is the project's."""

    report: Report
    local_env: Mapping[str, str]
    folder_name: str
    identity: str
    _container_env: dict[str, str] = field(default_factory=dict)

    def knows(self, name: str, value: str) -> None:
        """Add a variable of the container whose value is known before it runs."""
        self._container_env[name] = value

    def __call__(self, text: str, path: KeyPath, *, in_container: bool = True) -> Substituted:
        """Substitute in the text. `in_container`: `${containerEnv:...}` has a meaning there."""
        expands: list[str] = []

        def value(found: re.Match[str]) -> str:
            return self._value(found[0], found[1], path, in_container, expands)

        return Substituted(_VARIABLE.sub(value, text), tuple(dict.fromkeys(expands)))

    def _value(self, whole: str, inside: str, path: KeyPath, in_container: bool, expands: list[str]) -> str:
        kind, *rest = inside.split(":")
        name, default = (rest[0] if rest else ""), (rest[1] if len(rest) > 1 else None)
        if kind in ("localEnv", "env"):
            return self._local(name, default, path)
        if kind == "containerEnv" and in_container and _NAME.fullmatch(name):
            if name in self._container_env:
                return self._container_env[name]
            if default is not None:
                return default
            expands.append(name)
            return f"${{{name}}}"
        if kind in _FOLDERS:
            expands.append(SOURCE)
            return f"${{{SOURCE}}}"
        if kind in (f"{folder}Basename" for folder in _FOLDERS):
            return self.folder_name
        if kind == "devcontainerId":
            digest = hashlib.sha256(self.identity.encode("utf-8", "surrogatepass")).digest()
            return base64.b32encode(digest).decode().lower().rstrip("=")
        if kind == "templateOption":
            message = f"{whole} is an unfilled placeholder of a template"
            self.report.add("devcontainer.template", path, message, "replace it by a value")
        return whole

    def _local(self, name: str, default: str | None, path: KeyPath) -> str:
        if name in self.local_env:
            return self.local_env[name]
        if default is None:
            message = f"the variable {show(name)} of your machine is not passed to jobs; it is empty here"
            hint = "write the value, or name it as a secret of the project"
            self.report.add("devcontainer.variable", path, message, hint)
        return default or ""
