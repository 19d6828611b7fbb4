"""Translates commands and events to the steps that a job runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from wsdash.devfile.diagnostics import show
from wsdash.devfile.limits import MAX_NESTED_COMPOSITES, MAX_STEPS
from wsdash.devfile.parse.tree import Finding, KeyPath
from wsdash.devfile.schema.document import Document
from wsdash.devfile.schema.elements import containers
from wsdash.devfile.schema.models import Command
from wsdash.devfile.translation.container import Report, env_vars
from wsdash.devfile.translation.main_component import LocatedContainer
from wsdash.workload import Command as CommandStep
from wsdash.workload import Parallel, Sequential, Step

_ROOTS = re.compile(r"\$\{(PROJECTS_ROOT|PROJECT_SOURCE)\}(?=/|$)")


class Steps:
    """Resolves the commands of one document. `used` collects the ids of commands that events run."""

    def __init__(self, document: Document, main: LocatedContainer, report: Report) -> None:
        self.used: set[str] = set()
        self._main = main
        self._report = report
        self._commands = {
            c.id: (index, c) for index, c in reversed(list(enumerate(document.devfile.commands)))
        }
        self._containers = {c.name: (path, container) for path, c, container in containers(document)}
        self._left = MAX_STEPS

    def event(self, name: str, entries: Iterable[str], *, starts: bool) -> tuple[Step, ...]:
        """Return the steps of an event. `starts`: its apply commands are init containers (preStart)."""
        self._left = MAX_STEPS
        steps = []
        for index, entry in enumerate(entries):
            path: KeyPath = ("events", name, index)
            step = self._step(entry, path, (), starts)
            if step:
                steps.append(step)
            if self._left <= 0:
                message = f"{name} runs more than {MAX_STEPS} commands; the later ones are left out"
                self._report(Finding("step.too-many", path, message, "write the commands into a script"))
                break
        return tuple(steps)

    def _step(self, name: str, path: KeyPath, above: tuple[str, ...], starts: bool) -> Step | None:
        found = self._commands.get(name.lower())
        if found is None:
            message = f"the command {show(name)} is not run: it does not exist"
            self._report(Finding("reference.missing", path, message, "add it, or remove its name here"))
            return None
        index, command = found
        if command.id in above:
            message = f"composite {show(command.id)} runs itself; that step is left out"
            self._report(Finding("reference.cycle", path, message, "remove one of the steps"))
            return None
        if len(above) >= MAX_NESTED_COMPOSITES:
            message = (
                f"composites are nested deeper than {MAX_NESTED_COMPOSITES}; the inner ones are left out"
            )
            self._report(Finding("step.too-deep", path, message, "list the commands themselves"))
            return None
        self.used.add(command.id)
        if command.composite:
            return self._composite(index, command, above, starts)
        self._left -= 1
        here: KeyPath = ("commands", index, command.kind)
        return self._exec(command, here) if command.exec else self._apply(command, here, starts)

    def _composite(self, index: int, command: Command, above: tuple[str, ...], starts: bool) -> Step | None:
        parts, parallel = (
            (command.composite.commands, command.composite.parallel) if command.composite else ((), False)
        )
        steps = []
        for place, part in enumerate(parts):
            if self._left <= 0:
                break
            path: KeyPath = ("commands", index, "composite", "commands", place)
            if step := self._step(part, path, (*above, command.id), starts):
                steps.append(step)
        # An empty composite also counts, so that the expansion of nested ones ends too.
        self._left -= 0 if steps else 1
        if not steps:
            return None
        return Parallel(command.id, tuple(steps)) if parallel else Sequential(command.id, tuple(steps))

    def _exec(self, command: Command, path: KeyPath) -> Step | None:
        body = command.exec
        if body is None:
            return None
        if body.component != self._main.component.name:
            exists = body.component in self._containers
            what = (
                f"runs in {show(body.component)}, which is a service"
                if exists
                else f"names no container: {show(body.component)}"
            )
            hint = (
                f"name the main component {show(self._main.component.name)}, or use the service's own command"
            )
            code = "ignored.exec-in-service" if exists else "reference.missing"
            self._report(
                Finding(
                    code, (*path, "component"), f"the command {show(command.id)} is not run: it {what}", hint
                )
            )
            return None
        if "\0" in body.command_line or "\0" in body.working_dir:
            self._report(
                Finding(
                    "text.nul",
                    path,
                    f"the command {show(command.id)} is not run: it contains a NUL character",
                    "take it out",
                )
            )
            return None
        if body.hot_reload_capable:
            self._report(
                Finding(
                    "ignored.hot-reload",
                    (*path, "hotReloadCapable"),
                    "hotReloadCapable has no effect here",
                    "this needs no action",
                    True,
                )
            )
        env = env_vars(body.env, path, self._report, reserved=False)
        folder = working_dir(body.working_dir, self._main.container.source_mapping)
        return CommandStep(command.id, body.command_line, folder, env, body.label or None)

    def _apply(self, command: Command, path: KeyPath, starts: bool) -> Step | None:
        """Run an init container in the main container if both have the same image; report all others as ignored."""
        target = command.apply.component if command.apply else ""
        where = (*path, "component")
        if not starts or target not in self._containers:
            message = f"the command {show(command.id)} is not run: it starts the component {show(target)}"
            self._report(Finding("ignored.apply-command", where, message, "start it by hand if you need it"))
            return None
        at, container = self._containers[target]
        words = (*container.command, *container.args)
        if (
            container.image != self._main.container.image
            or not container.command
            or any("\0" in w for w in words)
        ):
            message = f"the init container {show(target)} is not run: a job runs only one image"
            hint = "write its work as an exec command in postStart, or add it to the main image"
            self._report(Finding("ignored.init-container", where, message, hint))
            return None
        env = env_vars(container.env, at, self._report)
        label = command.apply.label if command.apply else ""
        return CommandStep(command.id, shlex.join(words), None, env, label or None)


def working_dir(written: str, source_mapping: str) -> str | None:
    """Return the folder in terms of `$PROJECTS_ROOT` and `$PROJECT_SOURCE`, None if the devfile names none.

    The job chooses the place of the sources, so a folder below the devfile's own sourceMapping moves with them.
    """
    if not written:
        return None
    root = source_mapping.rstrip("/") or "/projects"
    if root.startswith("/") and (written == root or written.startswith(root + "/")):
        return "$PROJECTS_ROOT" + written[len(root) :]
    return _ROOTS.sub(r"$\1", written)
