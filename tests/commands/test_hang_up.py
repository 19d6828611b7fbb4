"""The terminal of `wsdash ssh` goes: the shell ends, with what runs in its foreground."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from tests.conftest import Command
from tests.repositories import make_repository
from tests.screens.terminal import Terminal
from tests.waiting import until_sync

pytestmark = pytest.mark.usefixtures("leaves_nothing_running")


def running(argv: list[str]) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == argv]


@pytest.mark.parametrize("first", ["", 'trap "" HUP; '], ids=["sleep", "ignores HUP"])
@pytest.mark.parametrize("under", [(), ("sh", "-c", '"$@"; exit 7', "sh")], ids=["leader", "under a shell"])
def test_the_foreground_of_the_shell_ends(
    wsdash: Command, tmp_path: Path, first: str, under: tuple[str, ...]
) -> None:
    assert wsdash("create", str(make_repository(tmp_path / "web")), "--wait").returncode == 0
    sleep = ["sleep", f"1001.{os.getpid()}"]
    terminal = Terminal("wsdash", "ssh", "web", env={"TERM": "dumb"}, under=under)
    try:
        terminal.settle()
        terminal.type(f"sh -c '{first}exec {' '.join(sleep)}'\n".encode())
        until_sync(lambda: running(sleep), what="the start of the program")
        terminal.hang_up()
        terminal.wait()
        until_sync(lambda: not running(sleep), what="the end of the program")
    finally:
        terminal.close()
        for left in running(sleep):
            left.kill()
