"""Small real Git repositories for tests, most with a devfile."""

from __future__ import annotations

import subprocess
from pathlib import Path

DEVFILE = """\
schemaVersion: 2.2.0
metadata:
  name: sample
components:
  - name: tools
    container:
      image: docker.io/library/debian:12
      env:
        - name: GREETING
          value: hello
      endpoints:
        - name: web
          targetPort: 8080
commands:
  - id: greet
    exec:
      component: tools
      workingDir: ${PROJECT_SOURCE}
      commandLine: printf '%s from %s\\n' "$GREETING" "$(basename "$PWD")" | tee greeting.txt
events:
  postStart: [greet]
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git in the folder and return what it printed. Raises `CalledProcessError` when it fails."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_repository(
    folder: Path,
    *,
    devfile: str | None = DEVFILE,
    files: dict[str, str] | None = None,
    branch: str = "main",
) -> Path:
    """Make a repository with one commit on `branch`, and return its folder.

    It holds `README.md`, the devfile as `devfile.yaml` (none where it is None), and `files` by path.
    """
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", f"--initial-branch={branch}")
    contents = {"README.md": f"# {folder.name}\n", **(files or {})}
    if devfile is not None:
        contents["devfile.yaml"] = devfile
    commit_files(folder, contents, "Start")
    return folder


def commit_files(folder: Path, files: dict[str, str], message: str) -> str:
    """Write the files by path, commit them all, and return the commit's id."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")
    return git(folder, "rev-parse", "HEAD")
