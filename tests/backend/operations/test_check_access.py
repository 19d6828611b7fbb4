"""The way by which jobs reach this machine: its name is proposed, checked, and untested until a job has connected."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from wsdash.backend.access.relay_client import RelayClient
from wsdash.backend.access.sightings import Reached
from wsdash.backend.operations import check_access
from wsdash.backend.operations.check_access import (
    ConnectResult,
    finding_of_way,
    findings,
    name_findings,
    proposals,
    relay_findings,
    way_of,
)
from wsdash.config.settings import Access
from wsdash.paths import Paths

NAME, LOOP = "jump.example", "127.0.0.1"


@pytest.mark.parametrize(
    ("bind", "addresses", "levels", "words"),
    [
        ("0.0.0.0", ("10.0.0.5",), [], ""),
        ("127.0.0.1", ("10.0.0.5",), ["blocked"], "listens only at 127.0.0.1,"),
        ("::1", ("10.0.0.5", "::1"), ["blocked"], "listens only at ::1,"),
        ("0.0.0.0", (), ["blocked"], "cannot resolve jump.example"),
        ("0.0.0.0", ("2001:db8::1",), ["blocked"], "has only IPv6 addresses"),
        ("::", ("2001:db8::1",), [], ""),
        ("::", ("10.0.0.5",), [], ""),
        ("0.0.0.0", (LOOP, "::1"), ["warning"], "only jobs on this machine"),
        ("127.0.0.1", (LOOP,), ["warning"], "only jobs on this machine"),
    ],
)
def test_the_name_and_the_address_that_it_listens_at(
    bind: str, addresses: tuple[str, ...], levels: list[str], words: str
) -> None:
    found = list(name_findings(NAME, bind, addresses))
    assert [one.level for one in found] == levels
    assert words in "".join(one.message for one in found)


@pytest.mark.parametrize(
    ("reached", "level", "words"),
    [
        (ConnectResult((LOOP,), b"SSH-2.0-wsdash\r\n"), "ok", "runners must reach it there too"),
        (ConnectResult((LOOP,), b"SSH-2.0-OpenSSH_9.2\r\n"), "blocked", "another program answers"),
        (ConnectResult((LOOP,), b""), "blocked", "another program answers"),
        (
            ConnectResult((LOOP,), problem="timed out"),
            "blocked",
            "cannot be reached at jump.example port 8022: timed out",
        ),
    ],
)
def test_what_answers(reached: ConnectResult, level: str, words: str) -> None:
    (found,) = relay_findings(f"{NAME} port 8022", reached)
    assert found.level == level
    assert words in found.message
    if reached.problem:
        assert "firewall" in found.hint


def client_of(tmp_path: Path, host: str | None = LOOP) -> RelayClient:
    return RelayClient(Paths(tmp_path, tmp_path / "c", tmp_path / "k"), Access(host, LOOP))


def test_a_way_is_untested_until_a_job_of_the_context_has_connected_by_that_address(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    here = Reached(f"{LOOP} {client.address.port}", 1.0, "10.0.0.9")
    assert way_of(client_of(tmp_path, None).process, here) == "none"
    assert way_of(client.process, None) == "untested"
    assert way_of(client.process, Reached("old.example 8022", 1.0, "10.0.0.9")) == "untested"
    assert way_of(client.process, here) == "works"
    untested = finding_of_way("work", here.address, None)
    assert (untested.level, "untested" in untested.message) == ("warning", True)
    assert f"let TCP port {client.address.port} in from the runners" in untested.hint
    works = finding_of_way("work", here.address, here)
    assert (works.level, "from 10.0.0.9" in works.message) == ("ok", True)


def test_a_port_that_another_program_has_is_the_finding(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    client.folder.prepare()
    with socket.create_server((LOOP, client.address.port)):
        found = [one for one in findings(client, LOOP, ["work"]) if one.level == "blocked"]
    assert [f"port {client.address.port} is used by" in one.message for one in found] == [True]


def test_a_relay_that_runs_answers(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    client.ensure_running()
    try:
        assert any("the relay answers at" in one.message for one in findings(client, LOOP, ["work"]))
    finally:
        client.process.end()


@pytest.mark.parametrize(
    ("full_name", "login", "expected"),
    [
        ("laptop", "", [LOOP]),
        ("laptop", "10.1.1.1 5 10.0.0.5 22", [LOOP, "10.0.0.5"]),
        ("jump.example", "", [LOOP]),
    ],
)
def test_addresses_of_this_machine_are_proposed(
    full_name: str, login: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: full_name)
    monkeypatch.setattr(check_access, "_addresses_of", lambda host: (LOOP,))
    assert proposals("http://127.0.0.1:8080", {"SSH_CONNECTION": login}) == expected


def test_the_full_name_comes_first_where_it_is_that_of_an_address_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: "jump.example")
    monkeypatch.setattr(check_access, "_addresses_of", lambda host: ("10.0.0.5",))
    monkeypatch.setattr(check_access, "_address_towards", lambda host: "10.0.0.5")
    assert proposals("https://gitlab.example", {}) == ["jump.example", "10.0.0.5"]
    monkeypatch.setattr(check_access, "_addresses_of", lambda host: ("10.9.9.9",))
    assert proposals("https://gitlab.example", {}) == ["10.0.0.5"]
