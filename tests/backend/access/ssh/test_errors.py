"""What ssh prints when it cannot log in, in words."""

from __future__ import annotations

import pytest

from wsdash.backend.access.ssh.errors import refusal


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ("root@web.wsdash: Permission denied (publickey).", "refuses the login as root"),
        ("Permission denied (publickey).", "refuses the login:"),
        ("No ED25519 host key is known.\nHost key verification failed.", "another host key"),
        ("Connection closed by UNKNOWN port 65535", "no SSH server that answers"),
        ("kex_exchange_identification: read: Connection reset by peer", "no SSH server that answers"),
        ("bash: true: command not found", ""),
        ("", ""),
    ],
)
def test_a_login_that_fails_has_a_reason(errors: str, words: str) -> None:
    found = refusal(errors)
    assert words in found
    assert bool(found) == bool(words)
