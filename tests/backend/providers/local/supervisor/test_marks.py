"""A process of a job is known by a number that it inherits, also without its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until_sync
from wsdash.backend.providers.local.layout import JobFiles
from wsdash.backend.providers.local.supervisor import marks
from wsdash.backend.providers.local.supervisor.marks import Mark
from wsdash.backend.system.files import json_files

TAKES = """
import subprocess, sys
from pathlib import Path
from wsdash.backend.providers.local.supervisor import marks
number = marks.take_on(Path(sys.argv[1]))
child = subprocess.Popen(["env", "-i", "setsid", "sleep", "600"])
print(number, child.pid, flush=True)
child.wait()
"""


def test_a_process_with_an_empty_environment_is_found_by_the_jobs_number(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", TAKES, tmp_path], stdout=subprocess.PIPE, text=True) as job:
        try:
            assert job.stdout is not None
            number, pid = map(int, job.stdout.readline().split())
            until_sync(lambda: b"HOME=" not in Path(f"/proc/{pid}/environ").read_bytes(), what="env -i")
            assert {pid, job.pid} <= set(marks.marked(Mark(tmp_path, number)))
            assert marks.marked(Mark(tmp_path / "another", number + 2**40)) == []
        finally:
            job.kill()
            os.kill(pid, 9)


def test_without_a_number_the_environment_tells(tmp_path: Path) -> None:
    environ = {**os.environ, marks.VARIABLE: str(tmp_path)}
    with subprocess.Popen(["sleep", "600"], env=environ) as job:
        until_sync(lambda: job.pid in marks.marked(Mark(tmp_path, None)), what="the environment of sleep")
        assert job.pid not in marks.marked(Mark(tmp_path / "x", None))
        job.kill()


@pytest.mark.parametrize(
    ("record", "number"), [({"mark": 7}, 7), ({"mark": "7"}, None), ({}, None), (None, None)]
)
def test_a_mark_is_read_from_the_record_of_the_supervisor(
    tmp_path: Path, record: dict[str, object] | None, number: int | None
) -> None:
    files = JobFiles(tmp_path)
    if record is not None:
        json_files.write(files.supervisor, record)
    assert Mark.of(files).number == number
