"""Where a job on GitLab puts what is to be kept, and how it notices that it has not got what was kept before."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS

HERE = Path(__file__).parents[3] / "wsdash/backend/job"
SCRIPT = f"""
have() {{ command -v "$1" >/dev/null 2>&1; }}
say() {{ printf 'wsdash: %s\\n' "$1"; }}
base=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE run=$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE/run
. {HERE}/gitlab_root.sh
choose_root
"""


@dataclass
class Job:
    """One job after another of a workspace with the id w1; each has the project directory of the one before."""

    shell: tuple[str, ...]
    folder: Path
    said: str = ""

    @property
    def base(self) -> Path:
        return self.folder / ".wsdash/w1"

    def start(self, restores: str, volume: Path | str = "", **more: str) -> Path:
        """The root that it chooses."""
        shutil.rmtree(self.base / "run", ignore_errors=True)
        (self.base / "run").mkdir(parents=True)
        env = {
            "PATH": os.environ["PATH"],
            "CI_PROJECT_DIR": str(self.folder),
            "WSDASH_WORKSPACE": "w1",
            "WSDASH_ATTEMPT": "a.1.1",
            "WSDASH_RESTORES": restores,
            "WSDASH_VOLUME": str(volume),
            **more,
        }
        done = subprocess.run(
            [*self.shell, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        self.said = done.stdout
        return Path(self.file("root"))

    def file(self, name: str) -> str:
        found = self.base / "run" / name
        return found.read_text().strip() if found.exists() else ""


@pytest.fixture(params=SHELLS, ids=" ".join)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    folder = tmp_path / "project"
    folder.mkdir()
    return Job(request.param, folder)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def mounted() -> Iterator[Path]:
    """A folder of another file system than the root's."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == Path("/").stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own")
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        yield Path(folder)


def test_without_a_volume_all_is_below_the_project_directory(job: Job) -> None:
    assert job.start("no") == job.base
    assert {path.name for path in job.base.iterdir()} == {"home", "projects", "volumes", "state", "run"}
    assert job.file("facts") == ""
    assert not (job.base / "state/saved").exists()  # that is written at the end, into what the cache gets


def test_a_cache_that_did_not_come_is_noticed_and_never_saved_over(job: Job) -> None:
    assert job.start("yes") == job.base / "unsaved"
    assert job.file("facts") == "cache=missed"
    assert "did not come with the cache" in job.said
    (job.base / "state").mkdir()
    (job.base / "state/saved").touch()
    assert job.start("yes") == job.base


def test_on_a_volume_each_workspace_has_a_folder_that_only_its_user_may_read(job: Job, volume: Path) -> None:
    assert job.start("no", volume) == volume / "w1"
    assert stat.S_IMODE((volume / "w1").stat().st_mode) == 0o700
    assert job.file("kept") == "volume"
    (volume / "w1/home/note").touch()
    assert job.start("yes", volume) == volume / "w1"
    assert (job.file("facts"), job.said) == ("", "")
    assert (volume / "w1/home/note").exists()


def test_a_volume_without_the_work_of_the_job_before_is_another_runner_s(job: Job, volume: Path) -> None:
    assert job.start("yes", volume) == volume / "w1/unsaved"
    assert job.file("facts") == "volume=missed"
    assert "another runner has it" in job.said
    assert not (volume / "w1/state/saved").exists()
    # What it did stays there; and what is there then counts.
    (volume / "w1/unsaved/home/note").touch()
    assert (job.start("yes", volume) / "home/note").exists()


def test_a_runner_that_mounts_nothing_there_keeps_nothing(job: Job, volume: Path) -> None:
    volume.rmdir()
    assert job.start("no", volume) == job.base / "unsaved"
    assert "mounts nothing" in job.said
    assert (job.file("kept"), job.file("facts")) == ("", "volume=missed")
    assert not volume.exists()


def test_in_a_container_a_folder_that_only_its_image_has_is_no_volume(
    job: Job, tmp_path: Path, mounted: Path
) -> None:
    if tmp_path.stat().st_dev != Path("/").stat().st_dev:
        pytest.skip("the temporary folder is a file system of its own")
    folder = tmp_path / "volume"
    folder.mkdir()
    assert job.start("no", folder, CI_DISPOSABLE_ENVIRONMENT="true") == job.base / "unsaved"
    assert job.start("no", mounted, CI_DISPOSABLE_ENVIRONMENT="true") == mounted / "w1"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_workspace_s_own_folder_may_be_all_that_is_mounted(job: Job, volume: Path, mounted: Path) -> None:
    own = ("bwrap", "--dev-bind", "/", "/", "--bind", str(mounted), str(volume / "w1"))
    job.shell = (*own, *job.shell)
    assert job.start("no", volume, CI_DISPOSABLE_ENVIRONMENT="true") == volume / "w1"
    assert job.file("kept") == "volume"
    assert (mounted / "state/saved").exists()
    done = remove(job.shell, volume)
    assert done.returncode == 0, done
    assert "it is mounted by itself" in done.stdout
    assert list(mounted.iterdir()) == []


def test_a_link_that_somebody_put_there_is_not_followed(job: Job, volume: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (volume / "w1").symlink_to(trap)
    assert job.start("no", volume) == job.base / "unsaved"
    assert list(trap.iterdir()) == []
    assert "another user's" in job.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_another_users_folder_is_left_alone(job: Job, volume: Path) -> None:
    (volume / "w1").mkdir()
    os.chown(volume / "w1", 65534, 65534)
    assert job.start("no", volume) == job.base / "unsaved"
    assert list((volume / "w1").iterdir()) == []


def test_imported_files_are_waited_for_once_where_nothing_was_saved(job: Job, volume: Path) -> None:
    for where in ("", volume):
        job.start("import", where)
        assert (job.base / "run/expects").exists()
        assert job.file("facts") == "import=missed"
    assert not (volume / "w1/state/saved").exists()
    (volume / "w1/state/saved").touch()
    job.start("import", volume)
    assert not (job.base / "run/expects").exists()


def remove(shell: tuple[str, ...], volume: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "WSDASH_VOLUME": str(volume), "WSDASH_WORKSPACE": "w1"}
    argv = [*shell, str(HERE / "gitlab_removal.sh")]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def test_removal_takes_the_workspace_s_folder_and_nothing_else(
    job: Job, volume: Path, tmp_path: Path
) -> None:
    (volume / "w1/home/locked").mkdir(parents=True)
    (volume / "w1/home/locked/file").touch()
    (volume / "w1/home/locked").chmod(0o500)
    (volume / "w2").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (volume / "w1/home/link").symlink_to(outside)
    done = remove(job.shell, volume)
    assert done.returncode == 0, done
    assert [path.name for path in volume.iterdir()] == ["w2"]
    assert (outside / "file").exists()
    assert remove(job.shell, volume).returncode == 0


def test_removal_of_a_link_leaves_what_it_leads_to(job: Job, volume: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (volume / "w1").symlink_to(outside)
    assert remove(job.shell, volume).returncode == 0
    assert (outside / "file").exists()
    assert list(volume.iterdir()) == []


def test_removal_on_another_runner_fails_and_says_so(job: Job, volume: Path) -> None:
    volume.rmdir()
    done = remove(job.shell, volume)
    assert done.returncode == 1
    assert "it is not the one that has" in done.stdout
