"""A process that lives on: its input, its log, its session."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from wsdash.backend.system.spawn import detach

ENV = {"PATH": os.environ["PATH"], "MARK": "here"}


def test_it_reads_what_it_is_given_and_appends_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    process = detach(("sh", "-c", 'cat; echo "$MARK $PWD" >&2'), log=log, env=ENV, stdin=b"given\n")
    assert process.wait(60) == 0
    assert log.read_text() == "before\ngiven\nhere /\n"


def test_a_new_log_is_the_users_alone_and_the_session_is_its_own(tmp_path: Path) -> None:
    process = detach(("sh", "-c", "cat; ps -o sid= -p $$"), log=tmp_path / "log", env=ENV)
    assert process.wait(60) == 0
    assert int((tmp_path / "log").read_text()) == process.pid
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_connection_is_its_input_and_its_output(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    with here, there:
        process = detach(
            ("sh", "-c", "echo error >&2; head -n 1"), log=tmp_path / "log", env=ENV, connection=there
        )
        here.sendall(b"ping\n")
        assert here.recv(100) == b"ping\n"
        assert process.wait(60) == 0
    assert (tmp_path / "log").read_text() == "error\n"
