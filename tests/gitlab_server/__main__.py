"""Runs a server by hand: `python -m tests.gitlab_server FOLDER [PORT]`. docs/gitlab-test-server.md tells more."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.gitlab_server import GitLabServer


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with GitLabServer(folder, port=port) as server:
        user = server.add_user("ada")
        server.add_project("group/app", owners=[user])
        runner = server.add_runner()
        print(f"url           {server.url}")
        print("project       group/app")
        print(f"access token  {server.add_token(user)}")
        print(f"runner token  {runner.token}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
