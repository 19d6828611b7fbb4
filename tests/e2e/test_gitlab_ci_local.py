"""The output of `devfile render` is a configuration that another implementation can run: gitlab-ci-local (npm)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repositories import git

PROGRAM = shutil.which("gitlab-ci-local")
MISSING = [name for name in ("gitlab-ci-local", "rsync") if shutil.which(name) is None]
DEVFILE = """\
schemaVersion: 2.2.0
components: [{name: main, container: {image: alpine}}]
commands:
- {id: note, exec: {component: main, commandLine: 'echo kept >note; cat note; echo "noted `pwd`"'}}
- {id: bye, exec: {component: main, commandLine: 'echo good bye'}}
events: {postStart: [note], preStop: [bye]}
"""


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not on the PATH")
def test_a_rendered_job_runs_under_gitlab_ci_local(tmp_path: Path) -> None:
    (tmp_path / "devfile.yaml").write_text(DEVFILE)
    render = [sys.executable, "-m", "wsdash", "devfile", "render", "devfile.yaml", "--provider", "gitlab"]
    rendered = subprocess.run(render, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (tmp_path / ".gitlab-ci.yml").write_text(rendered)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "remote", "add", "origin", "https://gitlab.example.com/group/app.git")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=x")
    here = ["--force-shell-executor", "--shell-isolation", "--no-color"]
    done = subprocess.run(
        [
            str(PROGRAM),
            *here,
            "--variable",
            "CI_PIPELINE_SOURCE=api",
            "--variable",
            "WSDASH_DEADLINE=3",
            "workspace",
        ],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("noted", "wsdash/1 ready", "good bye", "PASS"):
        assert text in done.stdout
