"""Sessions are asked for through the workspace's shell, whose answer is not trusted."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from wsdash.backend.errors import UserError
from wsdash.backend.operations.access import Access
from wsdash.backend.operations.sessions import Sessions
from wsdash.backend.providers.types import ShellCommand
from wsdash.backend.sessions.program import LONGEST_TEXT, source
from wsdash.backend.sessions.states import State


class Shell:
    """A workspace whose shell runs this script, with the words for session.sh as its arguments."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.asked: list[tuple[tuple[str, ...], bool]] = []

    async def shell(
        self,
        workspace_id: str,
        argv: tuple[str, ...],
        *,
        attempt: int | None = None,
        needs_terminal: bool = False,
    ) -> ShellCommand:
        self.asked.append((argv[4:], needs_terminal))
        return ShellCommand(("sh", "-c", self.script, "sh", *argv[4:]), {"PATH": "/usr/bin:/bin"})


def sessions(script: str, profiles: Path = Path("/nowhere")) -> tuple[Sessions, Shell]:
    shell = Shell(script)
    return Sessions(cast("Access", shell), profiles), shell


async def test_the_program_goes_in_on_standard_input_and_the_list_comes_back(tmp_path: Path) -> None:
    got = tmp_path / "got"
    found, shell = sessions(f"cat >{got}; echo 'wsdash-session|a|waiting|3|reads|it reads||cat'")
    assert [one.state for one in await found.list("w1")] == [State.WAITING]
    assert got.read_bytes() == source()
    assert shell.asked == [(("list",), False)]


async def test_the_jobs_own_reason_is_the_error() -> None:
    found, _ = sessions("echo a warning >&2; echo 'The workspace has no tmux.' >&2; exit 69")
    with pytest.raises(UserError, match=r"^The workspace has no tmux\.$"):
        await found.stop("w1", "a")


async def test_a_text_that_no_argument_can_hold_is_refused_before_anything_is_sent() -> None:
    found, shell = sessions("true")
    for text in ("x" * (LONGEST_TEXT + 1), "a\0b"):
        with pytest.raises(UserError, match="a text to send"):
            await found.send("w1", "a", text)
    assert shell.asked == []
    await found.send("w1", "a", "yes", enter=False)
    await found.send("w1", "a", "yes")
    assert [words for words, _ in shell.asked] == [("send", "a", "yes"), ("send", "a", "yes", "enter")]


async def test_attach_needs_a_terminal_and_leaves_the_program_there_first() -> None:
    found, shell = sessions("cat >/dev/null")
    await found.attach("w1", "a")
    assert shell.asked == [(("list",), False), (("a",), True)]


def test_a_wrong_file_of_profiles_is_named(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text("[a]\n")
    found, _ = sessions("true", file)
    with pytest.raises(UserError, match=f"^{file}: profile a needs start"):
        found.profiles()
