"""Settings and extensions of VS Code, from `customizations`."""

from __future__ import annotations

import json

from tests.backend.job.conftest import Job
from tests.backend.job.conftest import job as job
from tests.devfile.devcontainer.examples import translated
from tests.waiting import until_sync
from wsdash.workload import Workload


def workload(**commands: object) -> Workload:
    return translated({"image": "debian:13", **commands}).workload


def test_settings_are_where_vs_code_looks_and_a_users_own_stay(job: Job) -> None:
    settings = {"editor.tabSize": 2, "files.eol": "\n", "odd": "it's `$HOME`"}
    found = workload(settings={"odd": 1}, customizations={"vscode": {"settings": settings}})
    assert job.run_until_ready(found).exits() == {"vscode": 0}
    file = job.folder / ".vscode-server" / "data" / "Machine" / "settings.json"
    assert json.loads(file.read_text()) == settings
    file.write_text('{"editor.tabSize": 8}')
    assert job.run_until_ready(found).exits() == {"vscode": 0}
    assert json.loads(file.read_text()) == settings | {"editor.tabSize": 8}


def test_extensions_are_installed_into_a_server_that_comes_after_somebody_has_entered(job: Job) -> None:
    found = workload(
        customizations={"vscode": {"extensions": ["a.b", "--evil", "c d", "a.b"]}}, extensions=["c.d"]
    )
    assert job.run_until_ready(found).exits() == {"vscode": 0}
    entered = job.start("enter", found, "sh", "-c", "echo in; exec sleep 60")
    until_sync(lambda: "in" in entered.log)
    program = job.folder / ".vscode-server/bin/1234/bin/code-server"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@" >>"$HOME/installed"\n')
    program.chmod(0o755)
    installed = job.folder / "installed"
    expected = "--install-extension c.d\n--install-extension a.b\n"
    until_sync(lambda: installed.exists() and installed.read_text() == expected)
