"""`runArgs`: arguments of `docker run`. The runner starts the job, so only few of them are supported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import KeyPath, Object

_TAKES_VALUE = frozenset(
    [
        "-e",
        "--env",
        "--env-file",
        "-u",
        "--user",
        "--platform",
        "--add-host",
        "--shm-size",
        "--gpus",
        "--cap-add",
        "--cap-drop",
        "--security-opt",
        "--network",
        "--net",
        "--name",
        "-v",
        "--volume",
        "--mount",
        "-p",
        "--publish",
        "--device",
        "--hostname",
        "-h",
        "--ulimit",
        "--memory",
        "-m",
        "--cpus",
        "--ipc",
        "--pid",
        "--userns",
        "--workdir",
        "-w",
        "--label",
        "-l",
        "--entrypoint",
        "--group-add",
        "--sysctl",
        "--tmpfs",
        "--dns",
        "--runtime",
        "--mac-address",
        "--ip",
        "--log-driver",
        "--log-opt",
        "--cgroupns",
        "--memory-swap",
        "--restart",
        "--network-alias",
    ]
)
_PRIVILEGE = frozenset(
    [
        "--privileged",
        "--cap-add",
        "--cap-drop",
        "--security-opt",
        "--device",
        "--gpus",
        "--userns",
        "--pid",
        "--ipc",
        "--sysctl",
        "--runtime",
    ]
)
_MOUNTS = frozenset(["-v", "--volume", "--mount", "--tmpfs"])
_SILENT = frozenset(
    [
        "--name",
        "--rm",
        "-it",
        "-i",
        "-t",
        "--interactive",
        "--tty",
        "--label",
        "-l",
        "--hostname",
        "-h",
        "--restart",
    ]
)


@dataclass(frozen=True, slots=True)
class RunArguments:
    """The supported arguments: variables with their places, and the user."""

    env: tuple[tuple[KeyPath, str, str | None], ...] = ()
    user: str | None = None


def run_arguments(root: Object, report: Report) -> RunArguments:
    """Parse `runArgs`. A variable without a value is taken from the user's machine: its value is None."""
    env: list[tuple[KeyPath, str, str | None]] = []
    user = None
    for path, option, value in _options(root, report):
        if option in ("-e", "--env") and value:
            name, given, text = value.partition("=")
            env.append((path, name, text if given else None))
        elif option in ("-u", "--user") and value:
            user = value
        elif option in _SILENT:
            continue
        elif option in _MOUNTS:
            message = (
                f"the mount {show(value or '')} is left out: a job has no access to the runner's machine"
            )
            report.add("devcontainer.mount", path, message, "fetch the files in the job, or use a volume")
        elif option in _PRIVILEGE:
            message = (
                f"{show(f'{option} {value or str()}'.strip())} is left out: only the runner grants privileges"
            )
            report.add("devcontainer.privilege", path, message, "set it in the runner's own configuration")
        else:
            message = f"the argument {show(f'{option} {value or str()}'.strip())} of docker run is left out"
            report.add("devcontainer.run-argument", path, message, "the runner starts the container")
    return RunArguments(tuple(env), user)


def _options(root: Object, report: Report) -> Iterator[tuple[KeyPath, str, str | None]]:
    """Yield each option with its value, split as docker does: `--a=b`, `--a b`, `-eA=B`."""
    words = []
    for path, word in report.items(root, "runArgs"):
        if isinstance(word, str) and "\0" not in word:
            words.append((path, word))
        else:
            report.wrong(path, word, "a text")
    at = 0
    while at < len(words):
        path, word = words[at]
        at += 1
        option, has_value, value = word.partition("=")
        if has_value and option.startswith("--"):
            yield path, option, value
        elif word in _TAKES_VALUE and at < len(words):
            yield path, word, words[at][1]
            at += 1
        elif word[:2] in _TAKES_VALUE and not word.startswith("--") and len(word) > 2:
            yield path, word[:2], word[2:]
        else:
            yield path, word, None
