"""`wsdash session`: a program that runs on in a workspace, from its start to its end."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.screens.terminal import Terminal
from tests.waiting import until_sync
from wsdash.commands.session import in_colours

pytestmark = [
    pytest.mark.usefixtures("leaves_nothing_running", "plain_jobs"),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]
ASK = 'printf "\\033[32mProceed? \\033[0m"; read -r answer; echo "you said $answer"; cat'


@pytest.fixture
def web(wsdash: Command) -> str:
    assert wsdash("create", "--no-source", "--name", "web", "--wait", "--yes").returncode == 0
    return "web"


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_is_started_waits_is_answered_and_stopped(wsdash: Command, web: str) -> None:
    assert "has no sessions" in wsdash("session", web, "list").stderr
    assert said(wsdash("session", web, "start", "--name", "ask", "--", "sh", "-c", ASK)) == (
        "web: session ask is started\n"
    )
    assert said(wsdash("session", web, "wait", "ask", "--timeout", "60")) == "waiting\n"
    assert "it reads a line from its terminal (rule: reads)" in said(wsdash("session", web, "why", "ask"))
    assert said(wsdash("session", web, "screen", "ask")) == "Proceed?\n"
    said(wsdash("session", web, "send", "ask", "yes; $HOME"))
    until_sync(
        lambda: "you said yes; $HOME" in said(wsdash("session", web, "screen", "ask")), 60, "the answer"
    )
    (found,) = json.loads(said(wsdash("session", web, "list", "--json")))
    assert (found["name"], found["state"], found["profile"]) == ("ask", "waiting", None)
    said(wsdash("session", web, "stop", "ask"))
    assert wsdash("session", web, "wait", "ask", "--for", "idle").returncode == 1
    assert " stopped " in said(wsdash("session", web, "list"))
    said(wsdash("session", web, "start", "--name", "ask"))
    assert said(wsdash("session", web, "wait", "ask")) == "waiting\n"
    said(wsdash("session", web, "stop", "ask", "--forget"))
    assert json.loads(said(wsdash("session", web, "list", "--json"))) == []


def test_a_terminal_is_attached_and_f12_gives_it_back(wsdash: Command, web: str) -> None:
    said(wsdash("session", web, "start", "--name", "ask", "--", "sh", "-c", ASK))
    terminal = Terminal("wsdash", "session", web, "attach", "ask", env={"TERM": "no-image-knows-it"})
    try:
        terminal.read_until("Proceed?")
        terminal.type(b"\x1b[24~")
        terminal.read_until("detached")
        terminal.wait()
    finally:
        terminal.close()
    assert said(wsdash("session", web, "wait", "ask")) == "waiting\n", "the program goes on"


def test_wrong_words_are_told_with_what_to_type(wsdash: Command, web: str, tmp_path: Path) -> None:
    for words, code, told in (
        (("start",), 2, "there is nothing to start"),
        (("start", "--name", "../x", "--", "true"), 2, "cannot be the name of a session"),
        (("start", "--profile", "nobody"), 1, "there is no profile nobody"),
        (("start", "--name", "gone"), 1, "There is no session gone"),
        (("list", "--", "true"), 2, "takes no command"),
        (("attach", "gone"), 1, "needs a terminal"),
        (("why", "gone"), 1, "has no session gone"),
        (("wait", "gone", "--for", "happy"), 2, "there is no state happy"),
        (("screen", "gone", "--lines", "-1"), 2, "must not be negative"),
    ):
        done = wsdash("session", web, *words)
        assert (done.returncode, told in done.stderr) == (code, True), (words, done.stderr)


def test_a_screen_keeps_its_colours_and_nothing_else() -> None:
    assert in_colours("\x1b[1;32mok\x1b[0m \x1b]0;title\x07\x1b[2Jx\n") == ("\x1b[1;32mok\x1b[0m x\n\x1b[0m")
