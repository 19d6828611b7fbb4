"""A job's checkpoints, whose words are not trusted, and the answers to them."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import cast

import pytest

from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.gitlab.tunnel import checkpoints as module
from wsdash.backend.providers.gitlab.tunnel.checkpoints import Checkpoints, offer_of
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.backend.store.checkpoint_files import NoRoom, hash_of
from wsdash.config.settings import GitLabSettings

BUNDLE = b"a bundle"
HASH = hash_of(io.BytesIO(BUNDLE), len(BUNDLE))


@pytest.mark.parametrize(
    "line",
    [
        "new 3.1 0.0 1700000000 8 " + "a" * 65,
        "new 3.1 0.0 1700000000 8 ../../x",
        "new 3.1 0.0 1700000000 -8 abc",
        "new 2.1 0.0 1700000000 8 abc",
        "new 3.1 0.0 soon 8 abc",
        "new 3.1 0.0 1700000000 8",
        "new 3.1 0.0 1700000000 8 abc more",
        "new x 0.0 1700000000 8 abc",
    ],
)
def test_an_offer_that_is_none_of_this_attempt_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        offer_of(line.split(), 3)


def test_an_offer_names_the_checkpoint_and_the_one_that_it_builds_on() -> None:
    offer = offer_of(["new", "3.2", "3.1", "1700000000", "8", "abc"], 3)
    assert (str(offer.one.id), str(offer.base), offer.one.size) == ("3.2", "3.1", 8)


class Writer:
    """Keeps what is written to the job."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        pass


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    settings = GitLabSettings("https://gitlab.example", "group/app")
    return Checkpoints(tmp_path / "checkpoints", JobTunnel(None, settings))


async def taken(checkpoints: Checkpoints, said: bytes) -> list[str]:
    """The answers to what a job says."""
    reader, writer = asyncio.StreamReader(), Writer()
    reader.feed_data(said)
    reader.feed_eof()
    await checkpoints._take("w1", 3, reader, cast(asyncio.StreamWriter, writer))
    return writer.written.decode().splitlines()


def offered(id_: str, base: str) -> bytes:
    return f"new {id_} {base} 1700000000 {len(BUNDLE)} {HASH}\n".encode() + BUNDLE


async def test_a_checkpoint_is_kept_and_the_next_channel_begins_with_it(checkpoints: Checkpoints) -> None:
    assert await taken(checkpoints, offered("3.1", "3.1") + b"same\n") == ["none none", "kept", "kept"]
    assert (await taken(checkpoints, b"failed no-git\n"))[0] == f"3.1 {HASH}"


async def test_one_without_room_is_refused_and_the_channel_goes_on_behind_it(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> object:
        raise NoRoom

    monkeypatch.setattr(checkpoints.kept, "draft", full)
    answers = await taken(checkpoints, offered("3.1", "3.1") + b"same\n")
    assert answers[1:] == ["refused there is no space for it on your machine", "kept"]


@pytest.mark.parametrize("said", [b"give /etc/passwd\n", b"\xff\xfe\n"])
async def test_words_that_no_job_of_ours_says_end_the_channel(checkpoints: Checkpoints, said: bytes) -> None:
    with pytest.raises(ValueError, match="it says"):
        await taken(checkpoints, said)


async def test_a_channel_that_breaks_amid_a_checkpoint_keeps_nothing_of_it(checkpoints: Checkpoints) -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        await taken(checkpoints, offered("3.1", "3.1")[:-1])
    assert await taken(checkpoints, b"") == ["none none"]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("kept 3.1", ""),
        ("failed no-git", ""),
        ("failed the disk is full", "the disk is full"),
        ("", "does not answer"),
    ],
)
async def test_a_save_fails_with_the_reason_unless_there_is_nothing_to_save(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, answer: str, problem: str
) -> None:
    async def ask(*_: object) -> str:
        return answer

    monkeypatch.setattr(checkpoints, "_ask_to_save", ask)
    if not problem:
        await checkpoints.save("w1", "web")
        return
    with pytest.raises(ProviderError, match=f"the work in web cannot be saved: .*{problem}"):
        await checkpoints.save("w1", "web")


async def test_a_job_whose_checkpoints_nobody_follows_is_asked_again_for_a_while(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object) -> str:
        return module.NOBODY

    monkeypatch.setattr(module, "FOLLOWED_S", 0.0)
    monkeypatch.setattr(checkpoints, "_ask_to_save", ask)
    with pytest.raises(ProviderError, match="cannot be saved"):
        await checkpoints.save("w1", "web")
