"""Heartbeats by the line: the job says at once what its pipeline's name says later."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS
from tests.backend.job.scripts import HERE
from wsdash.backend.providers.gitlab.ci.pipeline_name import parse


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_each_change_is_a_line_with_the_name_that_the_pipeline_gets(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / ".wsdash/w1/run"
    run.mkdir(parents=True)
    (run / "state").write_text("starting\n")
    (run / "beat").write_text("1700000000 1 0.5 - 9000 1699999990\n")
    env = {
        **os.environ,
        "CI_PROJECT_DIR": str(tmp_path),
        "WSDASH_WORKSPACE": "w1",
        "WSDASH_ATTEMPT": "a1.1.0",
        "WSDASH_CONFIG": "abc",
        "WSDASH_OWNER": "me",
        "WSDASH_JOB_PID": str(os.getpid()),
    }
    argv = [*shell, str(HERE / "gitlab.sh"), "heartbeats"]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        first = parse(process.stdout.readline().strip())
        (run / "state").write_text("ready\n")
        (run / "beat").write_text("1700000010 2 0.5 - 9000 1700000005\n")
        second = parse(process.stdout.readline().strip())
        # The two files may have been read between the two changes.
        if second is not None and second.seq == 1:
            second = parse(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert first is not None and second is not None
    assert (first.workspace_id, first.attempt_id, first.at, first.state, first.seq) == (
        "w1", "a1", 1700000000, "starting", 1,
    )  # fmt: skip
    assert (first.facts["via"], first.facts["active"], first.facts["disk"]) == (
        "tunnel",
        "1699999990",
        "9000",
    )
    assert (second.at, second.state, second.seq) == (1700000010, "ready", 2)


def test_of_more_beats_gitlab_gets_no_more_than_before(tmp_path: Path) -> None:
    script = (
        f". {HERE}/gitlab_emit.sh; now=1; active=1; "
        'for n in 1 2 3 4 5 6 7; do emit beat \'{}\'; tail -c 100 "$WSDASH_RUN/beat" >>"$WSDASH_RUN/all"; done'
    )
    env = {**os.environ, "WSDASH_RUN": str(tmp_path), "WSDASH_REPORT_EVERY": "3"}
    done = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.count("wsdash/1 beat") == 3  # the first, the third and the sixth
    assert len((tmp_path / "all").read_text().splitlines()) == 7
