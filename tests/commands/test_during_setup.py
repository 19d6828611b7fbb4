"""A workspace whose first commands take long, or hang: the way in, and what is seen of them meanwhile."""

from __future__ import annotations

from pathlib import Path

import pexpect
import pytest

from tests.conftest import PYTHON, Command
from tests.repositories import DEVFILE, make_repository

pytestmark = pytest.mark.usefixtures("leaves_nothing_running")


def test_a_setup_is_watched_entered_and_freed(
    wsdash: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")  # its command looks at a file of this machine
    gate = tmp_path / "gate"
    hangs = DEVFILE.replace(
        "commandLine: ", f"commandLine: echo asking the mirror; until [ -e {gate} ]; do sleep 0.1; done; "
    )
    assert wsdash("create", str(make_repository(tmp_path / "web", devfile=hangs)), "--yes").returncode == 0
    waiting = pexpect.spawn(
        PYTHON[0], [*PYTHON[1:], "ssh", "web", "--", "echo in"], timeout=60, encoding="utf-8"
    )
    waiting.expect("web: starting")
    waiting.expect(r"\| asking the mirror\r\n")
    waiting.expect("`wsdash ssh web --during-setup` enters it")
    freed = wsdash("ssh", "web", "--during-setup", "--", f"touch {gate}; echo freed")
    assert (freed.returncode, freed.stdout) == (0, "freed\n"), freed.stderr
    waiting.expect("web: running")
    waiting.expect("in\r\n")
    waiting.expect(pexpect.EOF)
    assert wsdash("delete", "web", "--yes", "--wait").returncode == 0
