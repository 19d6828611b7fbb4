"""The host keys that the user's ssh trusts: certificates of one authority, and pinned keys of servers without any."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsdash.backend.access.known_hosts import pin, trust


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def test_one_authority_is_believed_at_a_time(file: Path) -> None:
    trust(file, "ssh-ed25519 OLD")
    pin(file, "w1", "ssh-ed25519 KEY", "web")
    trust(file, "ssh-ed25519 NEW")
    assert file.read_text().splitlines() == [
        "@cert-authority wsdash-*,*.wsdash ssh-ed25519 NEW",
        "wsdash-w1,web.wsdash ssh-ed25519 KEY",
    ]


def test_a_known_authority_leaves_the_file_alone(file: Path) -> None:
    trust(file, "ssh-ed25519 KEY")
    before = file.stat()
    trust(file, "ssh-ed25519 KEY")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_key_of_a_workspace_takes_the_place_of_the_one_before(file: Path) -> None:
    pin(file, "w1", "ssh-ed25519 OLD", "web")
    pin(file, "w2", "ssh-ed25519 OTHER", "db")
    pin(file, "w1", "ssh-ed25519 NEW", "web")
    assert sorted(file.read_text().splitlines()) == [
        "wsdash-w1,web.wsdash ssh-ed25519 NEW",
        "wsdash-w2,db.wsdash ssh-ed25519 OTHER",
    ]


def test_a_name_means_one_workspace_at_a_time(file: Path) -> None:
    """A workspace of the same name that was deleted is trusted no more."""
    pin(file, "w1", "ssh-ed25519 OLD", "web")
    pin(file, "w2", "ssh-ed25519 NEW", "web")
    assert file.read_text() == "wsdash-w2,web.wsdash ssh-ed25519 NEW\n"


def test_a_server_that_shows_a_certificate_needs_no_pinned_key(file: Path) -> None:
    pin(file, "w1", "ssh-ed25519 KEY", "web")
    pin(file, "w1", "", "web")
    assert file.read_text() == ""
