"""A daemon whose wsdash is upgraded goes on with the new code, and says so once."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until_sync
from wsdash.backend.operations import upgrades
from wsdash.paths import Paths

CHECKOUT = Path(__file__).parents[3]
SAID = "wsdash was upgraded"


@pytest.mark.usefixtures("leaves_nothing_running")
def test_a_daemon_starts_again_with_the_code_of_an_upgrade(
    tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    shutil.copytree(CHECKOUT / "wsdash", site / "wsdash", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("WSDASH_GITLAB_TOKEN", "glpat-given")
    monkeypatch.chdir(tmp_path)
    daemon = [sys.executable, "-m", "wsdash", "daemon"]
    subprocess.run([*daemon, "--detach"], check=True, capture_output=True, timeout=60)
    main = site / "wsdash/__init__.py"
    main.write_text(main.read_text().replace('"0.1.0"', '"99.0.0"'))
    until_sync(lambda: "wsdash 99.0.0, pid" in paths.daemon_log.read_text(), 60, "the new code")
    assert paths.daemon_log.read_text().count(SAID) == 1
    status = subprocess.run([*daemon, "--status"], check=True, capture_output=True, text=True, timeout=60)
    pid = status.stdout.partition("(pid ")[2].partition(")")[0]
    assert b"glpat-given" not in Path(f"/proc/{pid}/environ").read_bytes()
    subprocess.run([*daemon, "--stop"], check=True, capture_output=True, timeout=60)


async def test_an_installation_is_waited_for_until_its_code_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def can_start() -> bool:
        nonlocal tries
        tries += 1
        return tries == 3

    monkeypatch.setattr(upgrades, "LOOK_S", 0.01)
    monkeypatch.setattr(upgrades, "_can_start", can_start)
    monkeypatch.setattr("wsdash.__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "__init__.py").write_text("")
    waiting = asyncio.create_task(upgrades.code_changes())
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done and tries == 0, "nothing has changed"
    (tmp_path / "cli.py").write_text("new = 1\n")
    await asyncio.wait_for(waiting, 30)
    assert tries == 3
