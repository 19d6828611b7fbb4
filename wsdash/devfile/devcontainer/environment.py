"""Merges containerEnv, remoteEnv and the variables of runArgs: a job has only one environment."""

from __future__ import annotations

from wsdash.devfile.devcontainer.report import Report, plain_text
from wsdash.devfile.devcontainer.substitution import Substituted, Substitution
from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import KeyPath, Object
from wsdash.devfile.schema.elements import RESERVED_ENV
from wsdash.devfile.translation.container import ENV_NAME
from wsdash.workload import EnvVar


class Environment:
    """The environment of a Dev Container's job. The last value of a name is used."""

    def __init__(self, report: Report, substitute: Substitution) -> None:
        self._report = report
        self._substitute = substitute
        self._variables: dict[str, EnvVar] = {}

    @property
    def variables(self) -> tuple[EnvVar, ...]:
        """The variables in the order in which their names were first set."""
        return tuple(self._variables.values())

    def set(
        self, name: str, value: str, path: KeyPath, *, in_container: bool = True, is_raw: bool = False
    ) -> None:
        """Set a variable, or report why it cannot be. A raw value is not searched for variables of the Dev
        Container.
        """
        if name in RESERVED_ENV:
            message = f"{name} is ignored: the workspace sets it to the path of its sources"
            self._report.add("ignored.env-reserved", path, message, "drop it")
        elif not ENV_NAME.fullmatch(name):
            message = f"the environment variable {show(name)} is not set: a shell cannot have that name"
            self._report.add("env.name", path, message, "use letters, digits and _")
        elif "\0" in value:
            message = f"the environment variable {name} is not set: its value contains a NUL character"
            self._report.add("text.nul", path, message, "take it out")
        else:
            found = Substituted(value) if is_raw else self._substitute(value, path, in_container=in_container)
            self._variables[name] = EnvVar(name, found.text, found.expands)
            if not found.expands:
                self._substitute.knows(name, found.text)

    def take(self, holder: Object, key: str, *, in_container: bool) -> None:
        """Set all variables of a property; null removes a variable."""
        for name, value in self._report.mapping(holder, key).items():
            path: KeyPath = (key, name)
            text = plain_text(value)
            if value is None:
                self._variables.pop(name, None)
            elif text is None:
                self._report.wrong(path, value, "a text")
            else:
                self.set(name, text, path, in_container=in_container)
