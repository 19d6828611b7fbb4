"""The socket of a workspace: the user's alone, replaced by a newer attempt, and no wait without end behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.waiting import until
from wsdash.backend.access.grants import Grant
from wsdash.backend.access.paths import AccessFolder
from wsdash.backend.access.relay import tunnel as module
from wsdash.backend.access.relay.tunnel import MOST_UNANSWERED, Tunnel


class Connection:
    """The ssh connection of a job."""

    def __init__(self) -> None:
        self.answers = False
        self.paths: list[str] = []

    async def create_unix_connection(self, factory: object, path: str) -> tuple[str, str]:
        self.paths.append(path)
        if not self.answers:
            await asyncio.Event().wait()
        return ("channel", "session")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[AccessFolder]:
    found = AccessFolder(tmp_path / "access")
    found.prepare()
    yield found
    for left in found.sockets.iterdir():
        left.unlink()
    found.sockets.rmdir()


def tunnel(folder: AccessFolder, broken: list[int] | None = None, most: int = 10) -> Tunnel:
    connection: Any = Connection()
    grant = Grant("w1", "w1.a1", 1, "web")
    return Tunnel(folder, grant, connection, most, lambda: (broken if broken is not None else []).append(1))


async def test_the_socket_is_the_users_alone_and_found_by_id_and_name(folder: AccessFolder) -> None:
    one = tunnel(folder)
    await one.listen()
    path = folder.sockets / "w1.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.sockets.stat().st_mode & 0o777 == 0o700
    assert folder.named("web").resolve() == path.resolve()
    assert one.is_there()
    one.close()
    assert not path.exists() and not one.is_there()


async def test_a_newer_attempt_takes_its_place_and_the_older_one_removes_nothing(
    folder: AccessFolder,
) -> None:
    old, new = tunnel(folder), tunnel(folder)
    await old.listen()
    await new.listen()
    assert new.is_there() and not old.is_there()
    old.close()
    assert new.is_there()
    new.close()


async def test_a_socket_that_was_removed_is_made_again_and_a_closed_one_is_not(folder: AccessFolder) -> None:
    one = tunnel(folder)
    await one.listen()
    (folder.sockets / "w1.sock").unlink()
    assert not one.is_there()
    await one.listen()
    assert one.is_there()
    one.close()
    await one.listen()
    assert not (folder.sockets / "w1.sock").exists()


async def test_a_job_that_leaves_several_in_a_row_unanswered_is_broken(
    folder: AccessFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.01)
    broken: list[int] = []
    one = tunnel(folder, broken)
    connection: Any = one.connection
    for _ in range(MOST_UNANSWERED - 1):
        with pytest.raises(asyncssh.ChannelOpenError, match="no answer"):
            await one.open(lambda: None)  # type: ignore[arg-type, return-value]
    connection.answers = True
    assert await one.open(lambda: None) == ("channel", "session")  # type: ignore[arg-type, return-value]
    connection.answers = False
    for number in range(MOST_UNANSWERED):
        assert len(broken) == 0, f"after an answer the count begins anew ({number})"
        with pytest.raises(asyncssh.ChannelOpenError):
            await one.open(lambda: None)  # type: ignore[arg-type, return-value]
    assert broken == [1]
    assert set(connection.paths) == {"/wsdash/w1"}


async def test_one_connection_too_many_is_closed_at_once(folder: AccessFolder) -> None:
    one = tunnel(folder, most=1)
    await one.listen()
    first = await asyncio.open_unix_connection(folder.sockets / "w1.sock")
    await until(lambda: one.sessions, what="the first connection")
    second = await asyncio.open_unix_connection(folder.sockets / "w1.sock")
    assert await second[0].read() == b""
    assert len(one.sessions) == 1
    for _, writer in (first, second):
        writer.close()
    one.close()
