"""Settings and extensions reach each editor by the folders and options that its own program has.

The programs are stand-ins that record their arguments; `customize_editor.sh` names the sources. code-server is the
real one where it is installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS
from tests.backend.job.scripts import HERE
from tests.waiting import until_sync

CODE_SERVER = shutil.which("code-server")
SERVERS = (
    ".vscode-server",
    ".vscode-server-insiders",
    ".vscodium-server",
    ".cursor-server",
    ".windsurf-server",
)


@dataclass
class Home:
    """The home of a job's user, and the shell that runs the script."""

    folder: Path
    shell: tuple[str, ...]

    def run(self, *arguments: str, given: str = "", **environ: str) -> None:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **environ}
        argv = [*self.shell, str(HERE / "customize_editor.sh"), *arguments]
        done = subprocess.run(
            argv, input=given, capture_output=True, text=True, timeout=60, env=env, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    def read(self, folder: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.folder / folder / "settings.json").read_text())
        return found

    def put(self, path: str, line: str = "") -> Path:
        """A program that writes each of its arguments on a line of `arguments` in the home."""
        program = self.folder / path
        program.parent.mkdir(parents=True, exist_ok=True)
        record = f'printf "%s %s\\n" "${{0##*/}}" "$*" >>"{self.folder}/arguments"'
        program.write_text(f"#!/bin/sh\n{record}\n{line}\n")
        program.chmod(0o755)
        return program

    @property
    def arguments(self) -> list[str]:
        file = self.folder / "arguments"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture(params=SHELLS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    folder = tmp_path / "a home"
    folder.mkdir()
    return Home(folder, request.param)


def test_the_servers_of_desktop_editors_get_the_settings_and_a_change_of_them(home: Home) -> None:
    home.run("settings", given='{"editor.tabSize": 2}\n')
    assert [home.read(f"{server}/data/Machine") for server in SERVERS] == [{"editor.tabSize": 2}] * 5
    home.run("settings", given='{"editor.tabSize": 3}\n')
    assert [home.read(f"{server}/data/Machine") for server in SERVERS] == [{"editor.tabSize": 3}] * 5


def test_what_the_user_has_set_stays_and_only_what_is_missing_is_added(home: Home) -> None:
    home.run("settings", given='{"editor.tabSize": 2}\n')
    own = home.folder / ".cursor-server/data/Machine/settings.json"
    own.write_text('{"editor.tabSize": 8}')
    commented = home.folder / ".vscode-server/data/Machine/settings.json"
    commented.write_text('{"editor.tabSize": 8} // mine')
    home.run("settings", given='{"editor.tabSize": 3, "files.eol": "ü"}\n')
    assert home.read(".cursor-server/data/Machine") == {"editor.tabSize": 8, "files.eol": "ü"}
    assert commented.read_text() == '{"editor.tabSize": 8} // mine'


@pytest.mark.parametrize(
    ("kind", "program", "product", "folder", "environ"),
    [
        ("code-server", "opt/bin/code-server", None, ".local/share/code-server", {}),
        ("code-server", "opt/bin/code-server", None, "data/code-server", {"XDG_DATA_HOME": "data"}),
        ("vscode", "opt/bin/openvscode-server", ".openvscode-server", ".openvscode-server/data", {}),
        ("vscode", "opt/bin/gitlab-webide-server", ".gitlab-webide", ".gitlab-webide/data", {}),
        ("vscode", "opt/bin/gitlab-webide-server", None, ".vscode-remote/data", {}),
        ("vscode", "opt/bin/openvscode-server", ".x", "agent/data", {"VSCODE_AGENT_FOLDER": "agent"}),
    ],
)
def test_an_editor_in_the_browser_gets_both_before_it_starts(
    home: Home, kind: str, program: str, product: str | None, folder: str, environ: dict[str, str]
) -> None:
    environ = {key: str(home.folder / value) for key, value in environ.items()}
    path = home.put(program)
    if product is not None:
        (home.folder / "opt/product.json").write_text(
            f'{{\n\t"serverDataFolderName": "{product}",\n\t"a": 1\n}}\n'
        )
    link = home.folder / "link"
    link.symlink_to(path)
    home.run("settings", given='{"editor.tabSize": 2}\n')
    home.run("extensions", given="a.b\nc.d@1.0\n")
    for _ in range(2):
        home.run("web", kind, str(link), **environ)
    assert home.read(f"{folder}/Machine") == {"editor.tabSize": 2}
    assert home.arguments == ["link --install-extension a.b", "link --install-extension c.d@1.0"]
    home.run("settings", given='{"editor.tabSize": 3}\n')
    assert home.read(f"{folder}/Machine") == {"editor.tabSize": 3}


def test_an_extension_that_could_not_be_installed_is_tried_again(home: Home) -> None:
    program = home.put("code-server", 'echo no marketplace >&2; [ "$2" = a.b ]')
    home.run("extensions", given="a.b\nc.d\n")
    for _ in range(2):
        home.run("web", "code-server", str(program))
    assert [line.split()[-1] for line in home.arguments] == ["a.b", "c.d", "c.d"]
    assert "no marketplace" in (home.folder / ".config/wsdash/editor-log").read_text()


@pytest.mark.parametrize(
    "program",
    [
        ".vscode-server/cli/servers/Stable-abc/server/bin/code-server",
        ".vscode-server/bin/abc/bin/code-server",
        ".cursor-server/bin/linux-x64/abc/bin/cursor-server",
        ".windsurf-server/bin/abc/bin/windsurf-server",
        ".vscodium-server/bin/abc/bin/codium-server",
    ],
)
def test_a_server_that_a_desktop_editor_brings_later_gets_the_extensions(home: Home, program: str) -> None:
    home.run("extensions", given="a.b\n")
    argv = [*home.shell, str(HERE / "customize_editor.sh"), "servers"]
    waiting = subprocess.Popen(argv, env={"PATH": os.environ["PATH"], "HOME": str(home.folder)})
    try:
        until_sync((home.folder / ".config/wsdash/editor-waiter").exists)
        home.run("servers")  # another session: one process waits
        home.put(program)
        until_sync(lambda: home.arguments)
        assert home.arguments == [f"{Path(program).name} --install-extension a.b"]
    finally:
        waiting.kill()
        waiting.wait(10)


def test_a_workspace_without_a_dev_container_is_left_alone(home: Home) -> None:
    program = home.put("code-server")
    home.run("web", "code-server", str(program))
    home.run("servers")
    assert home.arguments == [] and {path.name for path in home.folder.iterdir()} == {"code-server"}


@pytest.mark.skipif(CODE_SERVER is None, reason="code-server is not installed: make e2e does it")
def test_the_real_code_server_has_the_extension(home: Home, tmp_path: Path) -> None:
    package = tmp_path / "ab.vsix"
    identity = '<Identity Language="en-US" Id="b" Version="0.0.1" Publisher="a"/>'
    manifest = f'<PackageManifest Version="2.0.0"><Metadata>{identity}</Metadata></PackageManifest>'
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("extension.vsixmanifest", manifest)
        about = {"name": "b", "publisher": "a", "version": "0.0.1", "engines": {"vscode": "*"}}
        archive.writestr("extension/package.json", json.dumps(about))
    home.run("extensions", given=f"{package}\n")
    home.run("web", "code-server", str(CODE_SERVER))
    argv = [str(CODE_SERVER), "--list-extensions"]
    env = {"PATH": os.environ["PATH"], "HOME": str(home.folder)}

    def listed() -> str:
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=env, check=False).stdout

    until_sync(lambda: "a.b" in listed().split())
