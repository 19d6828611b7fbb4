"""Answers to a job's questions for credentials: its own addresses, and the hosts that the user has named."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import pytest

from wsdash.backend.clone_address import Credential
from wsdash.backend.providers.gitlab.tunnel import git_credentials
from wsdash.backend.providers.gitlab.tunnel.git_credentials import CredentialServer, fill
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import GitLabSettings


class Writer:
    """Keeps what is written to the job."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        pass


@pytest.fixture(autouse=True)
def helpers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that the user's own Git was asked for."""
    asked: list[str] = []

    async def given(protocol: str, host: str) -> dict[str, str]:
        asked.append(host)
        return {"username": "me", "password": "MARKER"}

    monkeypatch.setattr(git_credentials, "fill", given)
    return asked


async def answers(*questions: str) -> str:
    kept = Credential.of_line("https://ada:OWN@git.example")
    assert kept is not None
    tunnel = JobTunnel(None, GitLabSettings("https://gitlab.example", "group/app"))
    server = CredentialServer(["named.example"], tunnel, lambda _: (kept,))
    reader, writer = asyncio.StreamReader(), Writer()
    reader.feed_data("".join(f"{question}\n" for question in questions).encode())
    reader.feed_eof()
    await server._answer_all("w1", reader, cast(asyncio.StreamWriter, writer))
    return writer.written.decode()


async def test_the_workspaces_own_address_and_named_hosts_get_an_answer(helpers: list[str]) -> None:
    assert await answers("get 1 https git.example x.git") == "1\nusername=ada\npassword=OWN\n\n"
    assert await answers("get 2 https GIT.example") == "2\nusername=ada\npassword=OWN\n\n"
    assert helpers == []
    assert await answers("get 3 https named.example") == "3\nusername=me\npassword=MARKER\n\n"


@pytest.mark.parametrize(
    "question",
    [
        "get 1 https other.example",
        "get 1 http named.example",
        "get 1 http git.example",
        "get 1 https named.example.evil",
        "get 1 https named.example:8443",
    ],
)
async def test_any_other_host_gets_nothing_and_that_is_logged(
    question: str, helpers: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert await answers(question) == "1\n\n"
    assert helpers == []
    assert "got none" in caplog.text


@pytest.mark.parametrize(
    "question",
    [
        "",
        "get",
        "get x https a",
        "get 1 ssh a",
        "get 1 https a\tb",
        "get 1 https -oProxy=x y z",
        "store 1 https a b",
    ],
)
async def test_another_question_ends_the_channel(question: str) -> None:
    with pytest.raises(ValueError, match="it asks"):
        await answers(question)


async def test_no_password_is_written_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await answers("get 1 https git.example", "get 2 https named.example")
    assert "OWN" not in caplog.text and "MARKER" not in caplog.text
    assert "got the credentials" in caplog.text


async def test_without_a_helper_that_knows_the_host_there_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await fill("https", "unknown.example") == {}
    monkeypatch.setenv("PATH", "/nowhere")
    assert await fill("https", "unknown.example") == {}
