"""`wsdash open`: the editor's address, and the way to it from a browser."""

from __future__ import annotations

import asyncio
import webbrowser
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.waiting import until
from wsdash.backend.job.web_editor import PORT, Editor
from wsdash.commands import editor


@pytest.mark.usefixtures("plain_jobs")
def test_a_workspace_without_an_editor_is_named_with_what_would_bring_one(
    wsdash: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert wsdash("create", "--no-source", "--name", "web", "--yes", "--wait").returncode == 0
    done = wsdash("open", "web")
    assert done.returncode == 1
    assert "no editor can be opened in web: The workspace has no editor" in done.stderr
    assert "injector_image" in done.stderr


@pytest.mark.parametrize(
    ("kind", "address", "password"),
    [("vscode", "/?tkn=s3cret", False), ("code-server", "/", True)],
)
def test_over_ssh_the_user_is_given_a_command_an_address_and_a_password_if_the_page_asks(
    kind: str,
    address: str,
    password: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 50000 10.0.0.5 2222")
    editor._explain("web", Editor(kind, "s3cret", "/job/socket"), "/run/my socket", json=False)
    text = capsys.readouterr().out
    assert "-p 2222" in text and "'8080:/run/my socket'" in text.replace(str(PORT), "8080")
    assert "@10.0.0.5" in text
    assert f"http://localhost:{PORT}{address}\n" in text
    assert ("password s3cret" in text) is password
    assert "\x1b" not in text, "the clipboard is written only on a terminal"


async def test_a_browser_on_this_machine_reaches_the_socket_by_a_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    socket, where = tmp_path / "editor", f"127.0.0.1:{editor._free_port()}"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"<" + await reader.readline() + b">")
        writer.close()

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(*where.split(":"))
        writer.write(b"GET /\n")
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    leading = asyncio.create_task(
        editor._shown_from(str(socket), where, "web", Editor("vscode", "tok", "/job/socket"))
    )
    await until(lambda: opened, what="the browser")
    assert opened == [f"http://{where}/?tkn=tok"]
    assert await ask() == b"", "without an editor the connection is closed, and the next one is served"
    async with await asyncio.start_unix_server(answer, socket):
        assert await ask() == b"<GET /\n>"
    leading.cancel()
    with suppress(asyncio.CancelledError):
        await leading


def test_the_short_name_of_a_socket_leads_to_the_newest_one(tmp_path: Path) -> None:
    name = tmp_path / "web.editor"
    for target in ("first", "second"):
        editor._link(name, str(tmp_path / target))
    assert name.readlink() == tmp_path / "second"
