"""Settings and extensions of VS Code, from `customizations`."""

from __future__ import annotations

import json

from tests.backend.job.conftest import Job
from tests.backend.job.conftest import job as job
from tests.devfile.devcontainer.examples import translated
from wsdash.workload import Workload


def workload(**commands: object) -> Workload:
    return translated({"image": "debian:13", **commands}).workload


def test_settings_are_where_vs_code_looks_and_a_users_own_stay(job: Job) -> None:
    settings = {"editor.tabSize": 2, "files.eol": "\n", "odd": "it's `$HOME`"}
    found = workload(customizations={"vscode": {"settings": settings, "extensions": ["a.b", "--evil"]}})
    assert job.run_until_ready(found).exits() == {"vscode": 0}
    file = job.folder / ".vscode-server" / "data" / "Machine" / "settings.json"
    assert json.loads(file.read_text()) == settings
    file.write_text("{}")
    assert job.run_until_ready(found).exits() == {"vscode": 0}
    assert file.read_text() == "{}"


def test_extensions_are_installed_by_the_images_own_editor(job: Job) -> None:
    program = job.folder / "bin" / "code-server"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" >>"$HOME/installed"\n')
    program.chmod(0o755)
    path = f"{program.parent}:/usr/bin:/bin"
    found = workload(containerEnv={"PATH": path}, extensions=["a.b", "c.d"])
    assert job.run_until_ready(found).exits() == {"vscode": 0}
    assert (job.folder / "installed").read_text() == "--install-extension a.b\n--install-extension c.d\n"
