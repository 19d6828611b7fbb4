"""Addresses that an earlier version stored as they were typed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace

from tests.backend.builders import workspace
from tests.conftest import Command
from wsdash.model import Workspace
from wsdash.paths import Paths
from wsdash.workload import Command as Step
from wsdash.workload import EnvVar, Workload


def test_a_stored_password_is_shown_nowhere_and_doctor_tells_of_it(
    paths: Paths, wsdash: Command, store_with: Callable[[Iterable[Workspace]], None]
) -> None:
    store_with([replace(workspace(), name="app", context="local")])
    with sqlite3.connect(paths.database) as connection:
        connection.execute("UPDATE workspace SET source_url = 'https://oauth2:MARKER@host/app.git'")
    connection.close()
    for verb in ("list --json", "show app", "show app --json", "doctor"):
        done = wsdash(*verb.split())
        assert "MARKER" not in done.stdout + done.stderr
    assert "https://host/app.git" in wsdash("show", "app").stdout
    assert "app's address with the password" in wsdash("doctor").stdout


def test_a_workload_is_shown_without_the_secrets_of_addresses_in_its_commands(
    paths: Paths, wsdash: Command, store_with: Callable[[Iterable[Workspace]], None]
) -> None:
    store_with([replace(workspace(), name="app", context="local")])
    workload = Workload(
        env=(EnvVar("DATABASE", "postgres://app:MARKER@db/app"),),
        post_start=(Step("clone", "git clone https://ada:MARKER@host/lib; make"),),
    )
    with sqlite3.connect(paths.database) as connection:
        connection.execute("UPDATE workspace SET workload = ?", (json.dumps(asdict(workload)),))
    connection.close()
    output = json.loads(wsdash("show", "app", "--json").stdout)["workload"]
    assert output["post_start"][0]["line"] == "git clone https://host/lib; make"
    assert output["env"][0]["value"] == "postgres://db/app"
