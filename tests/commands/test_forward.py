"""`wsdash ports --forward`, `--all` and `--open`, with a stand-in for ssh that carries one port to another."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.waiting import until
from wsdash import cli
from wsdash.backend.errors import UserError
from wsdash.backend.job.ports import Listener, OpenPort, Ports
from wsdash.backend.service import Service
from wsdash.commands import forward
from wsdash.workload import Port

CARRY = """
import asyncio, sys
async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
async def lead(reader, writer):
    try:
        there, here = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    except OSError:
        return writer.close()
    await asyncio.gather(copy(reader, here), copy(there, writer))
async def main():
    where = sys.argv[1]
    if where.startswith("/"):
        server = await asyncio.start_unix_server(lead, where)
    else:
        server = await asyncio.start_server(lead, "127.0.0.1", int(where.rpartition(":")[2]))
    await server.serve_forever()
asyncio.run(main())
"""


class Stub:
    """A service with one workspace of a GitLab."""

    def __init__(self) -> None:
        self.queries = self.access = self
        self.local = False
        self.fails = ""

    async def find(self, name: str) -> object:
        return SimpleNamespace(id="w1", name=name)

    def folder(self, workspace: object) -> Path | None:
        return Path("/w") if self.local else None

    async def forwarding(
        self, _: str, where: str, number: int, *, attempt: int | None = None
    ) -> tuple[str, ...]:
        if self.fails:
            return ("sh", "-c", f"echo '{self.fails}' >&2; exit 255")
        there = 1 if where.endswith(f":{number}") else number  # not in a circle: both ends are this machine
        return (sys.executable, "-c", CARRY, where, str(there))


def service(stub: Stub) -> Service:
    return cast("Service", stub)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    async def entered(_s: object, _w: str, _t: float, act: Callable[[Any], Awaitable[object]]) -> object:
        return await act(SimpleNamespace(workspace=SimpleNamespace(id="w1"), attempt=None))

    monkeypatch.setattr(forward, "once_entered", entered)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    return Stub()


@pytest.fixture
def listening() -> Iterator[int]:
    """A port on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def asked(**changes: object) -> Namespace:
    return Namespace(
        **{
            "name": "web",
            "forward": None,
            "all": False,
            "open": False,
            "socket": None,
            "timeout": 5.0,
            **changes,
        }
    )


async def ended(running: asyncio.Task[int], capsys: pytest.CaptureFixture[str], until_said: str) -> str:
    """Return what was said, after the end by a signal."""
    said = ""

    def more() -> bool:
        nonlocal said
        captured = capsys.readouterr()
        said += captured.err + captured.out
        return until_said in said or running.done()

    await until(more, what=until_said)
    if not running.done():
        os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    return said


async def test_it_says_that_it_forwards_once_it_does(
    stub: Stub, listening: int, capsys: pytest.CaptureFixture[str]
) -> None:
    local = forward.free_port()
    running = asyncio.create_task(forward.forward(service(stub), asked(forward=f"{listening}:{local}"), None))
    said = await ended(running, capsys, "until ctrl+c")
    assert f"http://127.0.0.1:{local} forwards to port {listening} of web until ctrl+c." in said


async def test_a_port_without_a_listener_is_told_so(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    nothing, local = forward.free_port(), forward.free_port()
    running = asyncio.create_task(forward.forward(service(stub), asked(forward=f"{nothing}:{local}"), None))
    assert f"Nothing listens on port {nothing} of web yet" in await ended(running, capsys, "forwards to it")


async def test_a_socket_is_removed_when_it_ends(
    stub: Stub, listening: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "app.sock"
    running = asyncio.create_task(
        forward.forward(service(stub), asked(forward=str(listening), socket=str(path)), None)
    )
    assert f"{path} forwards to port {listening}" in await ended(running, capsys, "until ctrl+c")
    assert not path.exists()


async def test_the_reason_of_ssh_is_told_in_one_sentence(stub: Stub) -> None:
    stub.fails = "channel 0: administratively prohibited"
    with pytest.raises(UserError) as refused:
        await forward.forward(service(stub), asked(forward=f"80:{forward.free_port()}"), None)
    assert (
        refused.value.message == "port 80 of web cannot be forwarded: channel 0: administratively prohibited"
    )
    assert refused.value.exit_code == 1


async def test_a_taken_port_is_told_before_ssh_starts(stub: Stub, listening: int) -> None:
    with pytest.raises(UserError) as refused:
        await forward.forward(service(stub), asked(forward=f"80:{listening}"), None)
    assert refused.value.message == f"port {listening} of this machine is used by another program"
    assert "--forward 80:" in refused.value.hint
    assert refused.value.exit_code == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/tmp/" + "x" * 120, "longer than 107 bytes"),
        ("/no/such/folder/a", "/no/such/folder is not a folder"),
    ],
)
def test_an_impossible_socket_is_told(path: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        forward.check_free(forward.Forward(80, path))


def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(UserError, match="is used by something else"):
        forward.check_free(forward.Forward(80, str(tmp_path / "notes")))


async def test_all_ports_are_forwarded_and_a_taken_one_gets_another(
    stub: Stub, listening: int, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = forward.free_port()
    found = Ports(
        (
            OpenPort(listening, None, Listener(listening, True, "node")),
            OpenPort(nothing, Port("web", nothing, "http", "public", "/"), None),
            OpenPort(53, Port("names", 53, "udp", "public", "/"), None),
        ),
        is_known=True,
    )
    running = asyncio.create_task(forward.forward(service(stub), asked(all=True), found))
    said = await ended(running, capsys, f"http://127.0.0.1:{nothing} forwards to it")
    assert f"Port {listening} of this machine is used by another program" in said
    assert f"forwards to port {listening} of web until ctrl+c." in said
    assert "ssh forwards no UDP" in said


async def test_open_gives_the_command_for_the_users_own_machine_without_a_display(
    stub: Stub, listening: int, capsys: pytest.CaptureFixture[str]
) -> None:
    local = forward.free_port()
    running = asyncio.create_task(
        forward.forward(service(stub), asked(forward=f"{listening}:{local}", open=True), None)
    )
    said = await ended(running, capsys, "and open")
    assert f"ssh -N -L {listening}:127.0.0.1:{local} " in said
    assert f"and open http://localhost:{listening}/" in said


async def test_open_takes_another_port_of_this_machine_where_its_own_is_taken(
    stub: Stub, listening: int, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(
        forward.forward(service(stub), asked(forward=str(listening), open=True), None)
    )
    said = await ended(running, capsys, "and open")
    assert f"port {listening} of this machine is used by another program" in said.lower()
    assert f"forwards to port {listening} of web" in said


async def test_open_opens_the_browser_where_there_is_a_display(
    stub: Stub, listening: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    stub.local = True
    assert (
        await forward.forward(
            service(stub), asked(forward=f"{listening}:{forward.free_port()}", open=True), None
        )
        == 0
    )
    assert opened == [f"http://127.0.0.1:{listening}/"], "a port of this machine needs no forwarding"


@pytest.mark.parametrize(
    "options", [["--open"], ["--socket", "/tmp/a"], ["--all", "--open"], ["--all", "--forward", "80"]]
)
def test_options_that_do_not_go_together_are_a_usage_error(options: list[str]) -> None:
    assert cli.main(["ports", "web", *options]) == 2
