"""The user's ssh configuration is theirs: one line is put in, once, and taken out again without a trace."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.access.folders import AccessFolder
from wsdash.backend.access.ssh_config import stanza, with_include, without_include

FILE = Path("/home/ada/.local/state/wsdash/access/ssh_config")
TEXTS = st.lists(st.sampled_from(["Host a", "  User b", "", "# note", "Include other", "Match all"])).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


def test_the_line_stands_before_every_host() -> None:
    text = with_include("Host old\n    User me\n", FILE)
    assert text.index("Include") < text.index("Host old")
    assert with_include(text, FILE) == text


@given(TEXTS)
def test_what_was_put_in_is_taken_out_and_nothing_else(text: str) -> None:
    assert without_include(with_include(text, FILE), FILE) == text
    assert without_include(text, FILE) == text


def test_the_stanza_pins_the_workspace_and_forwards_no_agent() -> None:
    text = stanza(AccessFolder(Path("/state/access")), "ada")
    assert "\nHost *.wsdash " in text
    assert "StrictHostKeyChecking yes" in text
    assert 'UserKnownHostsFile "/state/access/known_hosts"' in text
    assert "ForwardAgent no" in text
