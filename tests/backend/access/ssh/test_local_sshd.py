"""The sshd of workspaces on this machine: what it can do for a user who is not root."""

from __future__ import annotations

import grp
import os
from types import SimpleNamespace

import pytest

from wsdash.backend.access.ssh.local_sshd import why_no_terminal


@pytest.fixture
def group_of_terminals() -> int:
    ours, theirs = os.openpty()
    try:
        return os.fstat(theirs).st_gid
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("user", "is_mounted_so", "can"), [(0, False, True), (1000, True, True), (1000, False, False)]
)
def test_terminals_of_another_group_than_tty_are_for_root_alone(
    monkeypatch: pytest.MonkeyPatch, group_of_terminals: int, user: int, is_mounted_so: bool, can: bool
) -> None:
    group = group_of_terminals if is_mounted_so else group_of_terminals + 1
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(grp, "getgrnam", lambda _: SimpleNamespace(gr_gid=group))
    reason = why_no_terminal()
    assert (reason is None) == can
    assert reason is None or f"gid={group}" in reason


def test_where_there_is_no_group_tty_nothing_is_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(grp, "getgrnam", unknown)
    assert why_no_terminal() is None
