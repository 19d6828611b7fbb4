"""A GitLab with N running workspaces, in a process of its own: `python -m benchmarks.gitlab_instance FOLDER N`."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

from tests.gitlab_server import GitLabServer

LOG = b'wsdash/1 step {"phase":"fetch","state":"start","at":1}\nwsdash/1 ready {}\n'


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    with GitLabServer(folder) as server:
        user = server.add_user("ada")
        project = server.add_project("group/app", owners=[user])
        server.add_runner()
        state, at = server.state, int(time.time())

        def add() -> None:
            for number in range(count):
                key = f"w{number}"
                name = (
                    f"wsdash/{key} a{number}.1.1 {at} ready 1 config=0 started={at} load=0.5 memory=1 disk=1"
                )
                ref = f"wsdash/{key}"
                pipeline = state.add_pipeline(project, ref, "0" * 40, user, name, {"workspace": {}})
                state.start(pipeline.jobs[0], next(iter(state.runners.values())), cancels_gracefully=True)
                pipeline.jobs[0].trace += LOG

        server.do(add)
        print(json.dumps({"url": server.url, "token": server.add_token(user)}), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
