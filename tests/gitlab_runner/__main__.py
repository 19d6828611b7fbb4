"""`python -m tests.gitlab_runner URL TOKEN FOLDER [--old] [--keep]`: asks for jobs and runs each in a thread."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import requests

from tests.gitlab_runner.job import run_job
from tests.gitlab_runner.reporting import Reporter
from tests.gitlab_runner.slots import free_slot

FEATURES = {"variables", "image", "services", "artifacts", "cache", "upload_multiple_artifacts", "session"}
FEATURES |= {
    "terminal",
    "refspecs",
    "masking",
    "raw_variables",
    "return_exit_code",
    "cancelable",
    "trace_size",
}
FEATURES |= {"trace_reset", "trace_checksum", "service_variables", "multi_build_steps"}
CHECK_S = 0.2


def main() -> None:
    url, token, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    features = {**dict.fromkeys(FEATURES, True), "cancel_gracefully": "--old" not in sys.argv}
    info = {"name": "wsdash-tests", "executor": "shell", "shell": "bash", "features": features}
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    last_update = ""
    slots: dict[int, threading.Thread] = {}
    while not stopping.is_set():
        body = {"token": token, "info": info, "last_update": last_update, "system_id": "s_test"}
        try:
            answer = requests.post(f"{url}/api/v4/jobs/request", json=body, timeout=30)
        except requests.RequestException:
            stopping.wait(1.0)
            continue
        last_update = answer.headers.get("X-GitLab-Last-Update", last_update)
        if answer.status_code == 201:
            payload = answer.json()
            slot = free_slot(number for number, thread in slots.items() if thread.is_alive())
            reporter = Reporter(url, payload)
            thread = threading.Thread(
                target=run_job,
                args=(payload, folder, slot, reporter, stopping),
                kwargs={"keeps_folders": "--keep" in sys.argv},
            )
            thread.start()
            slots[slot] = thread
            continue
        stopping.wait(CHECK_S)
    for thread in slots.values():
        thread.join()


main()
