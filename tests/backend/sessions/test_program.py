"""The program that runs sessions travels with each command, and its words arrive as they were given."""

from __future__ import annotations

import subprocess
from pathlib import Path

from wsdash.backend.sessions import program
from wsdash.backend.sessions.profiles import Profile

SHOW = b"""printf '%s\\n' "$0" "$#" "$@"; cat\n"""


def test_it_is_left_in_the_home_folder_for_this_user_alone_and_gets_its_words(tmp_path: Path) -> None:
    argv = program.command("send", "s", 'it\'s $x\n"two"', "")
    done = subprocess.run(
        argv,
        input=SHOW,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    left = tmp_path / ".local/state/wsdash/sessions/.watch/session.sh"
    assert done.stdout.decode() == f'{left}\n4\nsend\ns\nit\'s $x\n"two"\n\n'
    assert left.read_bytes() == SHOW
    assert left.parent.stat().st_mode & 0o077 == 0


def test_the_source_needs_no_other_file() -> None:
    assert b"common.sh" not in program.source()
    assert len(program.source()) < 100_000


def test_a_start_says_all_of_its_profile() -> None:
    profile = Profile("p", "run", "again", ("w1", "w2"), ("k",), 9, ("A", "B"))
    assert program.start_words("s", "cd x &&\n  run", profile, "sub") == (
        *(
            "start",
            "s",
            "line=cd x &&\n  run",
            "title=cd x && run",
            "resume=again",
            "folder=sub",
            "profile=p",
        ),
        *("quiet=9", "env=A", "env=B", "waiting=w1", "waiting=w2", "working=k"),
    )
