"""A cache that whoever may read the project's caches can read nothing of: the key comes by the line alone."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.access.conftest import SSHD
from tests.e2e.gitlab_work import MakeRunner, Work, working
from tests.e2e.test_gitlab import lines_of, make_runner
from wsdash.paths import Paths

__all__ = ["make_runner"]

pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="there is no sshd (openssh-server)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl"),
]


@pytest.fixture
def work(
    tmp_path: Path, paths: Paths, make_runner: MakeRunner, leaves_nothing_running: None
) -> Iterator[Work]:
    with working(tmp_path, paths, make_runner) as work:
        text = paths.config_file.read_text()
        paths.config_file.write_text(text.replace("poll_s = 0.3\n", "poll_s = 0.3\nencrypt_cache = true\n"))
        yield work


def open_files(work: Work) -> list[Path]:
    """The files of the workspace on the runner that are not sealed."""
    found = [path for path in (work.runner.folder / "builds").rglob("*") if path.is_file()]
    return [path for path in found if b"kept work" in path.read_bytes() and "/run/" not in str(path)]


def test_a_cache_is_sealed_and_opened_again(work: Work) -> None:
    work.create()
    lines_of(work, "nothing kept", "the first job")
    work.run("stop", "app", "--wait")
    assert "in the cache, as its job ended" in work.run("show", "app")
    key = work.paths.cache_key_file
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    # The small runner writes no compressed archive, so that one can look into it.
    archives = [path for path in (work.runner.folder / "cache").rglob("*") if path.is_file()]
    assert archives and not any(b"kept work" in path.read_bytes() for path in archives)
    assert open_files(work) == []

    shutil.rmtree(work.runner.folder / "builds")
    work.run("start", "app", "--wait")
    lines_of(work, "kept work", "the second job")
    assert work.project.packages == []


def test_without_a_way_to_this_machine_nothing_is_run_that_could_not_be_sealed(work: Work) -> None:
    text = work.paths.config_file.read_text()
    work.paths.config_file.write_text(text.replace('host = "127.0.0.1"\n', ""))
    output = work.run_stderr(
        "create", work.source, "--context", "work", "--name", "app", "--yes", "--wait", code=1
    )
    assert "encrypt_cache of the context needs a tunnel" in output
    assert work.server.state.pipelines == {}
