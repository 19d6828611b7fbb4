"""Each desktop editor gets the folder as its own documents say; none of them runs here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest

from wsdash.backend.access.ssh.desktop_editors import DESKTOP_EDITORS, Place
from wsdash.config.values import DESKTOP_EDITORS as NAMES

PLACE = Place("web.wsdash", "/projects/my web", "ada")
ADDRESS = "ada@web.wsdash/projects/my%20web"
VSCODE = ("--folder-uri", f"vscode-remote://ssh-remote+{ADDRESS}")
GATEWAY = (
    "jetbrains-gateway://connect#type=ssh&deploy=false&host=web.wsdash&port=22&user=ada"
    "&projectPath=%2Fprojects%2Fmy%20web"
)


@pytest.mark.parametrize(
    ("name", "argv", "uri"),
    [
        ("code", ("code", *VSCODE), f"vscode://vscode-remote/ssh-remote+{ADDRESS}"),
        ("codium", ("codium", *VSCODE), f"vscodium://vscode-remote/ssh-remote+{ADDRESS}"),
        ("cursor", ("cursor", *VSCODE), f"cursor://vscode-remote/ssh-remote+{ADDRESS}"),
        ("windsurf", ("windsurf", *VSCODE), f"windsurf://vscode-remote/ssh-remote+{ADDRESS}"),
        ("zed", ("zed", f"ssh://{ADDRESS}"), f"zed://ssh/{ADDRESS}"),
        ("gateway", ("gateway", GATEWAY), GATEWAY),
    ],
)
def test_the_command_and_the_address_of_each_editor(name: str, argv: tuple[str, ...], uri: str) -> None:
    assert DESKTOP_EDITORS[name].argv(PLACE) == argv
    assert DESKTOP_EDITORS[name].uri(PLACE) == uri


def test_a_path_is_whole_after_the_editor_has_decoded_the_address() -> None:
    folder = "/projects/a&b=c #1 +ü%20"
    words = parse_qs(DESKTOP_EDITORS["gateway"].uri(Place("web.wsdash", folder)).partition("#")[2])
    assert words["projectPath"] == [folder] and "user" not in words


def test_the_settings_and_the_option_take_each_editor_that_there_is() -> None:
    assert tuple(DESKTOP_EDITORS) == NAMES


def test_a_program_is_found_by_each_of_its_names(tmp_path: Path) -> None:
    assert DESKTOP_EDITORS["zed"].program(str(tmp_path)) is None
    program = tmp_path / "zeditor"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert DESKTOP_EDITORS["zed"].program(str(tmp_path)) == str(program)
