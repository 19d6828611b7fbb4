"""The real GitLab Runner with its shell executor, for machines that have it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.gitlab_runner.control import Runner

PROGRAM = shutil.which("gitlab-runner")
CONFIG = """\
concurrent = 4
check_interval = 1
shutdown_timeout = 1

[[runners]]
name = "real"
url = "{url}"
token = "{token}"
executor = "shell"
shell = "bash"
builds_dir = "{folder}/builds"
cache_dir = "{folder}/cache"
"""


class RealRunner(Runner):
    """`gitlab-runner run`, configured as docs/gitlab-test-server.md says."""

    def __init__(
        self,
        url: str,
        token: str,
        folder: Path,
        *,
        env: dict[str, str] | None = None,
        keeps_folders: bool = True,
    ) -> None:
        """`keeps_folders` is what this executor always does; others cannot be had."""
        super().__init__(url, token, folder, env=env, keeps_folders=keeps_folders)
        config = folder / "config.toml"
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(CONFIG.format(url=url, token=token, folder=folder))
        self._argv = [
            PROGRAM or "gitlab-runner",
            "run",
            "--config",
            str(config),
            "--working-directory",
            str(folder),
        ]
