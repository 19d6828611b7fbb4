"""The editor in the browser: what its job answers is not trusted, and the explanation can be typed as it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend.job.web_editor import (
    Editor,
    NoEditor,
    editor_of,
    has_display,
    laptop_line,
)

TOKEN = "0123456789abcdef0123456789abcdef"


def test_the_answer_is_a_line_of_its_own_among_whatever_a_profile_prints() -> None:
    found = editor_of(f"Welcome!\nwsdash-editor vscode {TOKEN} /tmp/editor/socket\n", "")
    assert found == Editor("vscode", TOKEN, "/tmp/editor/socket")
    assert (found.path, found.password) == (f"/?tkn={TOKEN}", None)
    other = editor_of(f"wsdash-editor code-server {TOKEN} /tmp/editor/socket", "")
    assert (other.path, other.password) == ("/", TOKEN)


@pytest.mark.parametrize(
    "said",
    [
        "",
        f"wsdash-editor emacs {TOKEN} /tmp/x",
        f"wsdash-editor vscode {TOKEN[:-1]} /tmp/x",
        f"wsdash-editor vscode {TOKEN} relative",
        f"wsdash-editor vscode {TOKEN} /tmp/two words",
        f"wsdash-editor vscode {TOKEN} /tmp/{'x' * 5000}",
        f"x wsdash-editor vscode {TOKEN} /tmp/x",
    ],
)
def test_anything_else_is_no_editor_for_the_reason_that_the_job_gives(said: str) -> None:
    with pytest.raises(NoEditor, match=r"^There is no editor here\.$"):
        editor_of(said, "noise\nThere is no editor here.\x1b[2J\n\n")


@given(st.text(), st.text())
def test_no_answer_does_harm(said: str, complained: str) -> None:
    try:
        found = editor_of(said, complained)
    except NoEditor as error:
        assert not any(unicodedata.category(char) == "Cc" for char in str(error))
    else:
        assert found.socket.isprintable() and found.token.isalnum()


@pytest.mark.parametrize(
    ("came", "line"),
    [
        ("", "ssh -N -L 8080:/run/x.editor ada@jump"),
        ("10.0.0.9 50000 10.0.0.5 22", "ssh -N -L 8080:/run/x.editor ada@10.0.0.5"),
        ("10.0.0.9 50000 10.0.0.5 2222", "ssh -N -p 2222 -L 8080:/run/x.editor ada@10.0.0.5"),
        ("nonsense", "ssh -N -L 8080:/run/x.editor ada@jump"),
    ],
)
def test_the_command_names_the_address_by_which_the_user_came(came: str, line: str) -> None:
    assert laptop_line("/run/x.editor", "ada", {"SSH_CONNECTION": came}, "jump") == line


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a 1 b 22"}, False),
        ({}, False),
    ],
)
def test_a_browser_is_opened_only_where_the_user_sees_it(environ: dict[str, str], shown: bool) -> None:
    assert has_display(environ) is shown
