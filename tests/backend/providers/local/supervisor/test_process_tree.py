"""Everything below a supervisor is ended, and its exits are collected."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

BELOW = """
import json, subprocess, sys, time
from wsdash.backend.providers.local.supervisor import process_tree
process_tree.become_subreaper()
started = subprocess.Popen(["sh", "-c", sys.argv[1]], stdout=subprocess.PIPE)
started.stdout.readline()
begun = time.monotonic()
left = process_tree.end_children(float(sys.argv[2]), 30.0, time.sleep)
print(json.dumps({"left": left, "children": process_tree.reap()[1]}))
"""


@pytest.mark.parametrize(
    ("script", "gentle_s"),
    [
        ("echo; sleep 600", "20"),
        ("trap '' TERM; echo; while :; do sleep 1; done", "0.1"),
        ("(setsid sh -c 'trap \"\" TERM HUP; echo; sleep 600; sleep 600' &); exit 0", "0.1"),
    ],
    ids=["obeys", "ignores TERM", "left its parent and its session"],
)
def test_no_process_below_is_left(script: str, gentle_s: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BELOW, script, gentle_s],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {"left": [], "children": False}


def test_the_exit_of_every_child_is_collected_once() -> None:
    script = (
        "import os, time\n"
        "from wsdash.backend.providers.local.supervisor.process_tree import reap\n"
        "pids = [os.fork() or os._exit(code) for code in (0, 7)]\n"
        "found = {}\n"
        "while True:\n"
        "    statuses, is_left = reap()\n"
        "    found.update(statuses)\n"
        "    if not is_left: break\n"
        "    time.sleep(0.01)\n"
        "assert [os.waitstatus_to_exitcode(found[pid]) for pid in pids] == [0, 7], found\n"
        "assert reap() == ({}, False)\n"
    )
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)
