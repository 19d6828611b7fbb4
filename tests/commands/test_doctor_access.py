"""The findings of `wsdash doctor` about the ssh of this machine, a row for each case."""

from __future__ import annotations

import pytest

from wsdash.commands.doctor_access import client_findings


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
