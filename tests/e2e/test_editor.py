"""A real editor in a real browser: code-server in a workspace, opened by Chromium through the socket. `make e2e`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import working
from tests.gitlab_runner import Runner
from wsdash.paths import Paths

CHROMIUM = shutil.which("chromium")
MISSING = [
    name
    for name, found in {
        "code-server": shutil.which("code-server"),
        "chromium": CHROMIUM,
        "playwright": find_spec("playwright"),
        "sshd": SSHD,
    }.items()
    if not found
]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not installed: make e2e does it"),
    pytest.mark.usefixtures("leaves_nothing_running"),
]
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
BROWSER += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FIRST_S = 60_000
"""Milliseconds: a machine's first start of the editor takes a while."""


@contextmanager
def port_to(path: str) -> Iterator[int]:
    """Forward a port as `ssh -L PORT:SOCKET` does on the user's own machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def copy(source: socket.socket, target: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                source.close()

        def accept() -> None:
            while True:
                try:
                    near, _ = server.accept()
                except OSError:
                    return
                far = socket.socket(socket.AF_UNIX)
                far.connect(path)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def type_in_a_browser(about: dict[str, Any], file: str, text: str, is_there: Callable[[], bool]) -> None:
    from playwright.sync_api import sync_playwright  # type: ignore[import-not-found,unused-ignore]

    with port_to(about["socket"]) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        page = browser.new_page()
        page.goto(about["address"].replace(":8080", f":{port}"))
        # Whoever reaches the socket has to know the password, too.
        page.fill("input[name=password]", "a guess")
        page.press("input[name=password]", "Enter")
        page.wait_for_selector("text=Incorrect password")
        page.fill("input[name=password]", about["password"])
        page.press("input[name=password]", "Enter")
        page.wait_for_selector(".monaco-workbench", timeout=FIRST_S)
        page.wait_for_selector(f".explorer-folders-view >> text={file}", timeout=FIRST_S)
        page.dblclick(f".explorer-folders-view >> text={file}")
        page.wait_for_selector(".monaco-editor.focused", timeout=FIRST_S)
        page.keyboard.type(text)
        page.keyboard.press("Control+s")
        end = time.monotonic() + 30
        while not is_there():
            assert time.monotonic() < end, "what was typed is not in the workspace"
            page.wait_for_timeout(200)
        browser.close()


def run(*arguments: str) -> str:
    argv = [sys.executable, "-m", "wsdash", *arguments]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("paths")
def test_what_is_typed_into_the_editor_is_in_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSDASH_ISOLATION", "plain")
    run("create", "--no-source", "--name", "web", "--yes", "--wait")
    run("ssh", "web", "--", "touch", "notes.txt")
    about = json.loads(run("open", "web", "--json"))
    assert Path(about["socket"]).stat().st_mode & 0o777 == 0o600
    typed, read = "typed in a browser", ("ssh", "web", "--", "cat", "notes.txt")
    type_in_a_browser(about, "notes.txt", typed, lambda: run(*read) == typed)
    assert json.loads(run("open", "web", "--json")) == about
    run("delete", "web", "--yes", "--wait")


def test_so_it_is_through_the_line_that_a_job_of_a_gitlab_holds(
    tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with working(tmp_path, paths, Runner) as work:
        work.create()
        work.wait_for(phase="running", attempt=1)
        opening = subprocess.Popen(
            [sys.executable, "-m", "wsdash", "open", "app", "--json"], stdout=subprocess.PIPE, text=True
        )
        assert opening.stdout is not None
        output = ""
        while not output.endswith("}\n"):
            line = opening.stdout.readline()
            assert line, "it ended"
            output += line
        about = json.loads(output)
        assert os.stat(Path(about["socket"]).parent).st_mode & 0o777 == 0o700  # noqa: PTH116
        typed, read = "# typed in a browser", ("ssh", "app", "--", "cat", "devfile.yaml")
        type_in_a_browser(about, "devfile.yaml", typed, lambda: work.run(*read).startswith(typed))
        opening.terminate()
        opening.wait(60)
        assert not Path(about["socket"]).exists()
        work.run("delete", "app", "--yes", "--wait")
