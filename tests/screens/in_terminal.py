"""The dashboard over a stub, as a program for a real terminal: `python -m tests.screens.in_terminal FOLDER`.

SIGUSR1 changes the status of one workspace, as another process would. SIGUSR2 makes the app crash. The shell
of every workspace asks for a line and repeats it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from tests.screens.stub import StubService, dashboard, row
from wsdash.backend.providers.base import ShellCommand
from wsdash.model import Phase, Status

SHELL = ShellCommand(
    ("sh", "-c", "printf 'say something: '; read line; echo you said $line"), {"PATH": "/usr/bin:/bin"}
)


class Stub(StubService):
    async def shell(self, name: str, argv: tuple[str, ...] = ()) -> ShellCommand:
        return SHELL


def crash() -> None:
    token = "glpat-do-not-tell"
    raise RuntimeError(f"a token of {len(token)} characters: {token}")


async def main(folder: Path, count: int) -> int:
    stub = Stub([row(f"workspace-{number:04}") for number in range(count)])
    app = dashboard(stub, folder, no_color=bool(os.environ.get("NO_COLOR")))
    phases = [Phase.UNHEALTHY, Phase.RUNNING]

    def change_one() -> None:
        phase = phases.pop(0)
        phases.append(phase)
        reason = "no heartbeat for 47 s" if phase is Phase.UNHEALTHY else "running, as wanted"
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
    sys.exit(asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]))))
