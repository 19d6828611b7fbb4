"""The findings of `wsdash doctor` about the address by which jobs reach this machine, a row for each case."""

from __future__ import annotations

import pytest

from wsdash.commands.doctor_access import ConnectResult, client_findings, name_findings, relay_findings

NAME, LOOP = "jump.example", "127.0.0.1"


@pytest.mark.parametrize(
    ("version", "level", "words"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15", "ok", "OpenSSH 9.2"),
        ("OpenSSH_for_Windows_8.6p1, LibreSSL 3.4.3", "ok", "8.6"),
        ("OpenSSH_8.2p1 Ubuntu-4ubuntu0.5", "ok", "8.2"),
        ("OpenSSH_7.9p1 Debian-10", "blocked", "too old"),
        ("Dropbear v2022.83", "warning", "only OpenSSH is known to work"),
        ("", "warning", "only OpenSSH is known to work"),
    ],
)
def test_the_ssh_client(version: str, level: str, words: str) -> None:
    (found,) = client_findings(version)
    assert found.level == level
    assert words in found.message


@pytest.mark.parametrize(
    ("bind", "addresses", "levels", "words"),
    [
        ("0.0.0.0", ("10.0.0.5",), [], ""),
        ("127.0.0.1", ("10.0.0.5",), ["blocked"], "listens only at 127.0.0.1,"),
        ("::1", ("10.0.0.5", "::1"), ["blocked"], "listens only at ::1,"),
        ("0.0.0.0", (), ["blocked"], "cannot resolve jump.example"),
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
