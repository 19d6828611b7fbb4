"""`wsdash update`: the changes of the job, the question, and the next job."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import rows
from tests.conftest import Command
from tests.repositories import DEVFILE, commit_files

pytestmark = pytest.mark.usefixtures("plain_jobs")


def test_update_shows_the_changes_of_the_job_and_replaces_it(wsdash: Command, repository: Path) -> None:
    assert wsdash("create", str(repository), "--name", "web", "--wait").returncode == 0
    same = wsdash("update", "web", "--yes")
    assert (same.returncode, "already runs its current devfile" in same.stdout) == (0, True)
    assert wsdash("ssh", "web", "--", "sh", "-c", "echo mine >mine.txt").returncode == 0
    commit_files(repository, {"devfile.yaml": DEVFILE.replace("value: hello", "value: good day")}, "Greet")
    assert wsdash("update", "web").returncode == 2  # it asks, and nobody is there to answer
    updated = wsdash("update", "web", "--yes", "--wait")
    assert updated.returncode == 0, updated.stderr
    assert "-  export GREETING=hello" in updated.stdout
    assert "+  export GREETING='good day'" in updated.stdout
    row = rows(wsdash)["web"]
    assert (row["phase"], row["attempt"]) == ("running", 2)
    assert wsdash("ssh", "web", "--", "sh", "-c", "cat mine.txt; echo $GREETING").stdout == "mine\ngood day\n"
    assert "updated" in wsdash("events", "web").stdout
    assert wsdash("stop", "web", "--wait").returncode == 0
    commit_files(repository, {"devfile.yaml": DEVFILE}, "Greet as before")
    assert "from its next start on" in wsdash("update", "web", "--yes").stdout
    assert rows(wsdash)["web"]["phase"] == "stopped"
    assert wsdash("start", "web", "--wait").returncode == 0
    assert wsdash("ssh", "web", "--", "sh", "-c", "echo $GREETING").stdout == "hello\n"
