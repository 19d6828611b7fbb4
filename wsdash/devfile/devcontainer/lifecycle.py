"""The lifecycle commands (containers.dev, "Lifecycle scripts" and "Parallel lifecycle script execution").

They run one after the other inside the container; after a failure the later ones do not run. The first
three are for a new workspace only. `waitFor` names the one after which the workspace is ready.
"""

from __future__ import annotations

import shlex

from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.devcontainer.substitution import Substitution
from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Array, KeyPath, Object, Value
from wsdash.workload import Command, Parallel, Sequential, Step

ONCE = ("onCreateCommand", "updateContentCommand", "postCreateCommand")
START = "postStartCommand"
ATTACH = "postAttachCommand"
HOST = "initializeCommand"
ORDER = (*ONCE, START, ATTACH)
USUAL_WAIT = "updateContentCommand"


def lifecycle(root: Object, report: Report, substitute: Substitution) -> tuple[tuple[Step, ...], str | None]:
    """Return the steps of postStart, and the id of the step after which the workspace is ready."""
    _not_run(root, report)
    steps = [
        step
        for name in (*ONCE, START)
        if (step := _step(name, root.get(name), (name,), report, substitute)) is not None
    ]
    wanted = root.get("waitFor", USUAL_WAIT)
    if wanted not in (HOST, *ORDER):
        report.wrong(("waitFor",), wanted, f"one of {', '.join((HOST, *ORDER))}")
        wanted = USUAL_WAIT
    if not steps:
        return (), None
    return (Sequential("lifecycle", tuple(steps), stop_on_failure=True),), _awaited(wanted, steps)


def _awaited(wanted: Value, steps: list[Step]) -> str | None:
    """Return the last existing step that readiness waits for."""
    last = ORDER.index(str(wanted)) if wanted in ORDER else -1
    before = [step.id for step in steps if ORDER.index(step.id) <= last]
    if len(before) == len(steps):
        return None
    return before[-1] if before else NOTHING


NOTHING = ""
"""Readiness waits for no step."""


def _not_run(root: Object, report: Report) -> None:
    if (line := shown(root.get(HOST))) is not None:
        message = f"{HOST} is not run, because it is for your own machine: {show(line)}"
        report.add("devcontainer.host-command", (HOST,), message, "run it there yourself if you need it")
    if (line := shown(root.get(ATTACH))) is not None:
        message = f"{ATTACH} is not run: {show(line)}"
        report.add("devcontainer.attach-command", (ATTACH,), message, "run it in the workspace's shell")


def shown(value: Value) -> str | None:
    """Return a command as one line for people, None if there is none."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Array):
        return shlex.join(str(word) for word in value) or None
    if isinstance(value, Object):
        return "; ".join(line for one in value.values() if (line := shown(one))) or None
    return None


def _step(name: str, value: Value, path: KeyPath, report: Report, substitute: Substitution) -> Step | None:
    if isinstance(value, Object):
        inner = [
            command
            for key, one in value.items()
            if (command := _command(f"{name}/{key}", one, (*path, key), report, substitute)) is not None
        ]
        return Parallel(name, tuple(inner)) if inner else None
    return _command(name, value, path, report, substitute)


def _command(
    name: str, value: Value, path: KeyPath, report: Report, substitute: Substitution
) -> Command | None:
    """Return a text unchanged, for a shell; a list, which runs without a shell, with each word quoted."""
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, str):
        line = value
    elif isinstance(value, Array) and all(isinstance(word, str) for word in value):
        line = shlex.join(str(word) for word in value)
    else:
        report.wrong(path, value, "a text, a list of texts, or named commands")
        return None
    if "\0" in line:
        report.wrong(path, value, "a text without NUL characters")
        return None
    found = substitute(line, path)
    return Command(name, found.text, once=name.split("/")[0] in ONCE, expands=found.expands)
