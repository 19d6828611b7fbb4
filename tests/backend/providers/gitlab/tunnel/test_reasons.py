"""Why a workspace of a GitLab has no tunnel: a row a case."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wsdash
from wsdash.backend.access.grants import Grant
from wsdash.backend.access.relay_address import RelayAddress
from wsdash.backend.access.sightings import Sighting
from wsdash.backend.providers.gitlab.tunnel.reasons import DENIED, IMAGE, NETWORK, reason

ADDRESS = RelayAddress("jump.example", 18022, "k", "k", "a")
GRANT = Grant("w1", "w1.a1", 1, "app", address="jump.example 18022")
SEEN = Sighting("w1.a1")
CONNECTED = Sighting("w1.a1", connected_at=10.0)
LOST = Sighting("w1.a1", connected_at=10.0, ended_at=20.0)
REFUSED = Sighting(
    "w1.a1", connected_at=10.0, ended_at=20.0, refused_at=30.0, refusal="its secret is too old"
)
RESTART, FIREWALL, IMAGES = (
    "`wsdash restart app`",
    "firewalls must let TCP port 18022 in",
    "Use an image with",
)


@pytest.mark.parametrize(
    ("grant", "seen", "reported", "text", "hint"),
    [
        (None, None, "", "began before [access] was set, or on another machine", RESTART),
        (None, None, "no-ssh", "began before [access] was set, or on another machine", RESTART),
        (GRANT, None, "no-ssh", "its image has no ssh", IMAGES),
        (GRANT, LOST, "sshd-fails", "the SSH server of its image does not start", IMAGES),
        (GRANT, None, "", "has not connected to this machine (jump.example port 18022) yet", FIREWALL),
        (GRANT, None, "no-name", "cannot resolve jump.example", FIREWALL),
        (GRANT, None, "closed", "refuses the connection of its runner to port 18022", FIREWALL),
        (GRANT, None, "denied", "is refused by the SSH server that answers it", FIREWALL),
        (GRANT, REFUSED, "denied", "its job is refused: its secret is too old", RESTART),
        (GRANT, CONNECTED, "", "its socket on this machine was removed", "created again within seconds"),
        (GRANT, LOST, "lost", "has lost the connection", "reconnects by itself"),
        (GRANT, LOST, "timeout", "lost the connection: jump.example does not answer", FIREWALL),
        (GRANT, Sighting("w1.a0", connected_at=10.0), "", "has not connected to this machine", FIREWALL),
        (
            Grant("w1", "w1.a1", 1, "app", address="old.example 9"),
            LOST,
            "closed",
            "connects to old.example port 9, but this machine is now jump.example port 18022",
            RESTART,
        ),
    ],
)
def test_each_reason_has_its_own_words_and_remedy(
    grant: Grant | None, seen: Sighting | None, reported: str, text: str, hint: str
) -> None:
    found = reason("app", ADDRESS, grant, seen, reported)
    assert text in found.text
    assert hint in found.hint
    if hint != IMAGES:
        assert "image" not in found.text + found.hint


def test_a_job_reports_the_words_that_are_known_here() -> None:
    script = (Path(wsdash.__file__).parent / "backend/job/sh/bin/tunnel.sh").read_text()
    assert set(re.findall(r"\bgive_up ([a-z-]+)", script)) == set(IMAGE)
    assert set(re.findall(r"\bwhy=([a-z-]+)", script)) == {*NETWORK, DENIED, "lost"}
