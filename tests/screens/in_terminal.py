"""The dashboard over a stub, as a program for a real terminal: `python -m tests.screens.in_terminal FOLDER COUNT`.

What it is asked to do stands in FOLDER/asked, a line each.

SIGUSR1 changes the status of one workspace, as another process would. SIGUSR2 makes the app crash. The shell
of every workspace asks for a line and repeats it, or is the program that LENT names.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from tests.screens.stub import StubService, attempt, dashboard, row
from wsdash.backend.providers.types import ShellCommand
from wsdash.backend.store.reader import WorkspaceRow
from wsdash.config.settings import Config, Context, GitLabSettings
from wsdash.model import Beat, Desired, Phase, Policy, Status

SHELL = ShellCommand(
    ("sh", "-c", "printf 'say something: '; read line; echo you said $line"), {"PATH": "/usr/bin:/bin"}
)


def rows(count: int) -> list[WorkspaceRow]:
    """Workspaces that run, but for two, so that there is one for every action."""
    found = [row(f"workspace-{number:04}") for number in range(count)]
    found[1] = row(found[1].workspace.name, Phase.STOPPING, "ending #1", None, policy=Policy(max_hours=8.0))
    found[2] = row(found[2].workspace.name, Phase.STOPPED, "#1 ended", None, desired=Desired.STOPPED)
    lived_in = attempt(found[3].workspace.name)
    assert lived_in.last_observation is not None
    job = replace(lived_in.last_observation, beat=Beat(lived_in.intended_at, shells=1))
    lived_in = replace(lived_in, last_observation=job)
    found[3] = row(found[3].workspace.name, last=lived_in, policy=Policy(max_hours=8.0))
    return found


class Asked(list[tuple[str, str]]):
    """Kept in a file as well, for another process to read."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def append(self, asked: tuple[str, str]) -> None:
        super().append(asked)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(" ".join(asked) + "\n")


class Stub(StubService):
    async def shell(
        self, workspace_id: str, argv: tuple[str, ...] = (), *, attempt: int | None = None
    ) -> ShellCommand:
        lent = os.environ.get("LENT")
        return ShellCommand(tuple(lent.split()), dict(os.environ)) if lent else SHELL


def crash() -> None:
    token = "glpat-do-not-tell"
    raise RuntimeError(f"a token of {len(token)} characters: {token}")


async def main(folder: Path, count: int, *, various: bool) -> int:
    """`various`: not all of the workspaces run."""
    stub = Stub(rows(count) if various else [row(f"workspace-{number:04}") for number in range(count)])
    stub.asked = Asked(folder / "asked")
    work = Context("work", "gitlab", GitLabSettings("https://gitlab.example", "team/work"))
    stub.configured = Config(contexts={"work": work, **stub.configured.contexts})
    app = dashboard(stub, folder, no_color=bool(os.environ.get("NO_COLOR")))
    phases = [Phase.UNHEALTHY, Phase.RUNNING]

    def change_one() -> None:
        phase = phases.pop(0)
        phases.append(phase)
        reason = "no heartbeat for 47 s" if phase is Phase.UNHEALTHY else "running, as desired"
        changed = replace(stub.rows[0], status=Status(phase, reason, phase is Phase.RUNNING))
        stub.change([changed, *stub.rows[1:]])

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, change_one)
    loop.add_signal_handler(signal.SIGUSR2, lambda: app.call_later(crash))
    loop.add_signal_handler(signal.SIGINT, app.leave, 130)
    loop.add_signal_handler(signal.SIGTERM, app.leave, 143)
    loop.add_signal_handler(signal.SIGHUP, app.leave, 129)
    try:
        await app.run_async(mouse=False)
    finally:
        await app.session.close()
    (folder / "handed over").write_text(str(stub.handed_over))
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), various=sys.argv[3:] == ["various"])))
