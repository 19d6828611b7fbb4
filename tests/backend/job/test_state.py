"""The state of a workspace between its jobs on GitLab: which copy counts, and what is told of one that did not come."""

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
from tests.backend.job.scripts import HERE

NAME = f"test-{os.getpid()}"
"""The workspace's id, of which a job looks for other jobs on the host."""
SCRIPT = f"""
. {HERE}/common.sh
here={HERE} base=$CI_PROJECT_DIR/.wsdash/{NAME} run=$CI_PROJECT_DIR/.wsdash/{NAME}/run
. {HERE}/gitlab_storage.sh
. {HERE}/gitlab_leftover.sh
"""
START = f"{SCRIPT}choose_root; restore_state"
END = f"{SCRIPT}read -r root <$run/root; save_state"


@dataclass
class Job:
    """One job after another of one workspace; each has the project directory of the one before."""

    shell: tuple[str, ...]
    folder: Path
    number: int = 0
    said: str = ""

    @property
    def base(self) -> Path:
        return self.folder / ".wsdash" / NAME

    @property
    def home(self) -> Path:
        return self.base / "live/home"

    @property
    def cache(self) -> Path:
        return self.base / "cache"

    def sh(self, script: str, **more: str) -> int:
        env = {
            "PATH": os.environ["PATH"],
            "CI_PROJECT_DIR": str(self.folder),
            "CI_JOB_ID": str(self.number),
            "WSDASH_WORKSPACE": NAME,
            "WSDASH_ATTEMPT": f"a.{self.number}.1",
            **more,
        }
        done = subprocess.run(
            [*self.shell, "-c", script], env=env, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        self.said = done.stdout
        return done.returncode

    def start(self, restores: str, volume: Path | str = "", **more: str) -> Path:
        """The next attempt: the folder that it works in."""
        self.number += 1
        shutil.rmtree(self.base / "run", ignore_errors=True)
        (self.base / "run").mkdir(parents=True)
        settings = {"WSDASH_RESTORE_FROM": restores, "WSDASH_VOLUME": str(volume)}
        assert self.sh(START, **settings, **more) == 0
        return Path(self.file("root"))

    def end(self, **more: str) -> str:
        """It ends by itself: the number of the state that it has saved, "" for none."""
        self.sh(END, **more)
        return self.file("stored")

    def file(self, name: str) -> str:
        found = self.base / "run" / name
        return found.read_text().strip() if found.exists() else ""

    @property
    def live(self) -> str:
        return (self.base / "live/state/number").read_text().strip()

    @property
    def archives(self) -> list[str]:
        return sorted(path.name for path in self.cache.iterdir()) if self.cache.exists() else []

    def lose_folders(self) -> None:
        """The next runner keeps none: what the cache brings is all there is."""
        for path in self.base.iterdir():
            if path != self.cache:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def copy_of(cache: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return shutil.copytree(cache, place)


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


def test_without_a_volume_all_is_below_the_project_directory_and_outside_of_the_cache(job: Job) -> None:
    assert job.start("no") == job.base / "live"
    assert {path.name for path in (job.base / "live").iterdir()} == {"home", "projects", "volumes", "state"}
    assert (job.file("facts"), job.live, job.archives) == ("", "1.0", [])


def test_what_a_job_saved_is_there_in_the_next_one_wherever_that_runs(job: Job) -> None:
    job.start("no")
    (job.home / "note").write_text("precious\n")
    (job.home / "note").chmod(0o640)
    (job.home / "link").symlink_to("nowhere")
    assert job.end() == "1.1"
    assert job.archives == ["state-1.1.tar"]
    job.lose_folders()
    job.start("1.1")
    assert (job.home / "note").read_text() == "precious\n"
    assert (job.home / "note").stat().st_mode & 0o777 == 0o640
    assert (job.home / "link").readlink() == Path("nowhere")
    assert (job.file("facts"), job.live, job.said) == ("", "2.0", "")
    assert job.archives == []  # it took as much room again
    (job.home / "note").unlink()
    assert job.end() == "2.1"
    job.lose_folders()
    job.start("2.1")
    assert not (job.home / "note").exists()


@pytest.mark.parametrize("restores", ["yes", "1.1"])
def test_a_cache_that_did_not_come_is_told_once_and_the_workspace_saves_again(
    job: Job, restores: str
) -> None:
    job.start("no")
    job.end()
    shutil.rmtree(job.base)
    job.start(restores)
    assert job.file("facts") == "cache=missed"
    assert "did not come with the cache" in job.said
    (job.home / "note").touch()
    assert job.end() == "2.1"
    job.lose_folders()
    job.start("2.1")
    assert job.file("facts") == ""
    assert (job.home / "note").exists()


def test_an_older_copy_that_comes_alone_is_used_and_what_it_lacks_is_told(job: Job, tmp_path: Path) -> None:
    job.start("no")
    (job.home / "note").write_text("first\n")
    job.end()
    first = copy_of(job.cache, tmp_path / "first")
    job.start("1.1")
    (job.home / "note").write_text("second\n")
    job.end()
    shutil.rmtree(job.base)
    copy_of(first, job.cache)
    job.start("2.1")
    assert (job.file("facts"), job.file("from")) == ("cache=older", "1.1")
    assert (job.home / "note").read_text() == "first\n"
    assert job.end() == "3.1"


def test_a_kept_folder_is_newer_than_the_cache_of_the_job_before_however_old_its_files_are(job: Job) -> None:
    job.start("no")
    (job.home / "note").write_text("old\n")
    job.end()
    cached = copy_of(job.cache, job.folder / "cached")
    job.start("1.1")
    (job.home / "note").write_text("nine minutes of work\n")
    os.utime(job.home / "note", (1, 1))
    # It is killed: nothing is saved, and the runner unpacks what the cache has over the folder that it kept.
    copy_of(cached, job.cache)
    job.start("1.1")
    assert (job.home / "note").read_text() == "nine minutes of work\n"
    assert (job.file("facts"), job.live, job.archives) == ("", "3.0", [])
    assert not (job.base / "live/aside").exists()  # the older one is a part of it


def test_of_two_that_went_apart_the_newer_counts_and_the_other_is_set_aside_and_named(job: Job) -> None:
    job.start("no")
    (job.home / "note").write_text("common\n")
    job.end()
    elsewhere = Job(job.shell, job.folder / "another runner", job.number)
    copy_of(job.cache, elsewhere.cache)
    job.start("1.1")
    (job.home / "note").write_text("lost with its runner\n")
    elsewhere.number = job.number
    elsewhere.start("1.1")
    (elsewhere.home / "note").write_text("later\n")
    assert elsewhere.end() == "3.1"
    # The first runner is back, with its folder and the other's cache.
    job.number = elsewhere.number
    copy_of(elsewhere.cache, job.cache)
    job.start("3.1")
    assert (job.home / "note").read_text() == "later\n"
    aside = job.base / "live/aside/2.0"
    assert (aside / "home/note").read_text() == "lost with its runner\n"
    assert job.file("aside") == "2.0"
    assert str(aside) in job.said
    assert job.end() == "4.1"
    job.lose_folders()
    job.start("4.1")
    assert (aside / "home/note").read_text() == "lost with its runner\n"


def test_an_older_archive_that_is_no_part_of_the_newer_state_is_set_aside_whole(
    job: Job, tmp_path: Path
) -> None:
    job.start("no")
    (job.home / "note").write_text("first\n")
    job.end()
    first = copy_of(job.cache, tmp_path / "first")
    shutil.rmtree(job.base)
    job.start("1.1")
    job.end()
    shutil.copytree(first, job.cache, dirs_exist_ok=True)
    job.start("2.1")
    assert not (job.home / "note").exists()
    found = job.base / "live/aside/1.1.tar"
    subprocess.run(["tar", "-C", tmp_path, "-xf", found], check=True)
    assert (tmp_path / "home/note").read_text() == "first\n"


def test_only_the_newest_two_are_kept_aside(job: Job) -> None:
    job.start("no")
    for number in ("0.3", "0.12", "0.7"):
        folder = job.cache / f"state-{number}"
        (folder / "home").mkdir(parents=True)
        (folder / "packed").write_text(f"{number}\n")
    job.start("1.1")
    assert sorted(path.name for path in (job.base / "live/aside").iterdir()) == ["0.12", "0.7"]


def test_a_job_that_died_amid_unpacking_leaves_nothing_half(job: Job) -> None:
    job.start("no")
    (job.home / "note").write_text("precious\n")
    job.end()
    cached = copy_of(job.cache, job.folder / "cached")
    for kept in ("nothing", "a part", "the one before"):
        shutil.rmtree(job.base / "live", ignore_errors=True)
        copy_of(cached, job.cache)
        (job.base / "draft/home").mkdir(parents=True)
        (job.base / "draft/home/note").write_text("prec")
        if kept == "the one before":
            # Between the two renames.
            subprocess.run(
                ["mkdir", "-p", job.base / "replaced/state", job.base / "replaced/home"], check=True
            )
            (job.base / "replaced/state/number").write_text("0.9\n")
            (job.base / "replaced/home/other").touch()
        job.start("1.1")
        assert (job.home / "note").read_text() == "precious\n"
        assert not (job.base / "draft").exists() and not (job.base / "replaced").exists()
    assert (job.base / "live/aside/0.9/home/other").exists()


def test_an_archive_that_was_cut_is_noticed_and_kept(job: Job) -> None:
    job.start("no")
    (job.home / "note").write_text("precious\n" * 5000)
    job.end()
    (archive,) = job.cache.iterdir()
    data = archive.read_bytes()
    # Amid a file, and between two, where tar itself notices nothing.
    for size in (512, 20_480, data.rindex(b"packed\0")):
        job.lose_folders()
        copy = copy_of(job.cache, job.folder / "copy")
        archive.write_bytes(data[:size])
        job.start("1.1")
        assert job.file("facts") == "cache=damaged"
        assert (job.base / "live/aside/1.1.tar").stat().st_size == size
        assert job.end() != ""
        shutil.rmtree(job.base)
        copy_of(copy, job.cache)


def test_a_state_that_cannot_be_packed_leaves_the_cache_as_it_was(job: Job, tmp_path: Path) -> None:
    job.start("no")
    full = tmp_path / "bin"
    full.mkdir()
    (full / "tar").write_text('#!/bin/sh\necho some >"$4"; exit 2\n')
    (full / "tar").chmod(0o755)
    if job.shell[0] == "busybox":
        pytest.skip("its tar is its own")
    assert job.end(PATH=f"{full}:{os.environ['PATH']}") == ""
    assert job.file("facts") == "cache=unsaved"
    assert not job.cache.exists()  # of which the archiver saves nothing
    assert not (job.base / "draft.tar").exists()


def test_an_image_without_tar_saves_folders(job: Job, tmp_path: Path) -> None:
    if job.shell[0] == "busybox":
        pytest.skip("its tar is its own")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("mkdir", "rm", "mv", "cat", "grep", "wc", "cp", "find", "id", "sort", "head", "ls", "tail"):
        (tools / name).symlink_to(shutil.which(name) or name)
    job.shell = (shutil.which("dash") or "dash",)
    bare = {"PATH": str(tools)}
    job.start("no", **bare)
    (job.home / "note").write_text("precious\n")
    assert job.end(**bare) == "1.1"
    assert job.archives == ["state-1.1"]
    job.lose_folders()
    job.start("1.1", **bare)
    assert (job.home / "note").read_text() == "precious\n"


def test_a_cache_of_the_wsdash_before_is_taken_over_once(job: Job) -> None:
    for part in ("home", "projects", "state", "volumes"):
        (job.base / part).mkdir(parents=True)
    (job.base / "home/note").write_text("precious\n")
    (job.base / "state/saved").write_text("abc.7.2\n")
    (job.base / "state/checkpoint").write_text("7.4\n")
    job.number = 7
    job.start("yes")
    assert (job.home / "note").read_text() == "precious\n"
    assert (job.base / "live/state/checkpoint").read_text() == "7.4\n"
    assert (job.file("facts"), job.file("from"), job.live) == ("", "7.1", "8.0")
    assert not (job.base / "home").exists()
    assert job.end() == "8.1"


def test_what_was_done_while_the_wsdash_before_missed_a_cache_is_set_aside(job: Job) -> None:
    (job.base / "unsaved/home").mkdir(parents=True)
    (job.base / "unsaved/home/note").write_text("pushed nowhere\n")
    job.start("yes")
    assert (job.base / "live/aside/0.0/home/note").read_text() == "pushed nowhere\n"


def test_numbers_that_are_none_are_no_state(job: Job) -> None:
    for number in ("1.1.1.tar", "x.tar", "$(id).tar", "1..tar", "99999999999999999999.1.tar"):
        job.cache.mkdir(parents=True, exist_ok=True)
        (job.cache / f"state-{number}").touch()
        job.start("yes")
        assert job.file("facts") == "cache=missed"
        shutil.rmtree(job.base)


def test_on_a_volume_each_workspace_has_a_folder_that_only_its_user_may_read(job: Job, volume: Path) -> None:
    assert job.start("no", volume) == volume / NAME
    assert stat.S_IMODE((volume / NAME).stat().st_mode) == 0o700
    assert job.file("kept") == "volume"
    (volume / NAME / "home/note").touch()
    assert job.start("yes", volume) == volume / NAME
    assert (job.file("facts"), job.said) == ("", "")
    assert (volume / NAME / "home/note").exists()


def test_a_volume_without_the_work_of_the_job_before_is_another_runner_s(job: Job, volume: Path) -> None:
    assert job.start("yes", volume) == volume / NAME
    assert job.file("facts") == "volume=missed"
    assert "another runner has it" in job.said
    # What it does stays there; and what is there then counts.
    (volume / NAME / "home/note").touch()
    assert job.file("stored") == "1.0"
    assert (job.start("1.0", volume) / "home/note").exists()
    assert job.file("facts") == ""
    job.start("7.1", volume)
    assert job.file("facts") == "volume=older"


def test_a_volume_of_the_wsdash_before_is_taken_as_it_is(job: Job, volume: Path) -> None:
    for name in ("home/note", "state/saved", "unsaved/home/other"):
        (volume / NAME / name).parent.mkdir(parents=True)
        (volume / NAME / name).write_text("abc.7.2\n")
    job.number = 7
    job.start("yes", volume)
    assert (job.file("from"), job.file("stored"), job.file("facts")) == ("7.1", "8.0", "")
    assert (volume / NAME / "aside/0.0/home/other").exists()


def test_a_runner_that_mounts_nothing_there_keeps_nothing(job: Job, volume: Path) -> None:
    volume.rmdir()
    assert job.start("no", volume) == job.base / "live"
    assert "mounts nothing" in job.said
    assert (job.file("kept"), job.file("facts"), job.file("stored")) == ("", "volume=unmounted", "")
    assert not volume.exists()


def test_in_a_container_a_folder_that_only_its_image_has_is_no_volume(
    job: Job, tmp_path: Path, mounted: Path
) -> None:
    if tmp_path.stat().st_dev != Path("/").stat().st_dev:
        pytest.skip("the temporary folder is a file system of its own")
    folder = tmp_path / "volume"
    folder.mkdir()
    assert job.start("no", folder, CI_DISPOSABLE_ENVIRONMENT="true") == job.base / "live"
    assert job.start("no", mounted, CI_DISPOSABLE_ENVIRONMENT="true") == mounted / NAME


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_workspace_s_own_folder_may_be_all_that_is_mounted(job: Job, volume: Path, mounted: Path) -> None:
    own = ("bwrap", "--dev-bind", "/", "/", "--bind", str(mounted), str(volume / NAME))
    job.shell = (*own, *job.shell)
    assert job.start("no", volume, CI_DISPOSABLE_ENVIRONMENT="true") == volume / NAME
    assert job.file("kept") == "volume"
    assert (mounted / "state/number").exists()
    done = remove(job.shell, volume)
    assert done.returncode == 0, done
    assert "it is a mount point" in done.stdout
    assert list(mounted.iterdir()) == []


def test_a_link_that_somebody_put_there_is_not_followed(job: Job, volume: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (volume / NAME).symlink_to(trap)
    assert job.start("no", volume) == job.base / "live"
    assert list(trap.iterdir()) == []
    assert "another user's" in job.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
def test_another_users_folder_is_left_alone(job: Job, volume: Path) -> None:
    (volume / NAME).mkdir()
    os.chown(volume / NAME, 65534, 65534)
    assert job.start("no", volume) == job.base / "live"
    assert list((volume / NAME).iterdir()) == []


def test_imported_files_are_waited_for_once_where_nothing_was_saved(job: Job, volume: Path) -> None:
    for where in ("", volume):
        job.start("import", where)
        assert (job.base / "run/expects").exists()
        assert job.file("facts") == "import=missed"
    assert not (volume / NAME / "state/number").exists()
    (volume / NAME / "state/number").write_text("2.0\n")
    job.start("import", volume)
    assert not (job.base / "run/expects").exists()


def remove(shell: tuple[str, ...], volume: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "WSDASH_VOLUME": str(volume), "WSDASH_WORKSPACE": NAME}
    argv = [*shell, str(HERE / "remove_volume.sh")]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def test_removal_takes_the_workspace_s_folder_and_nothing_else(
    job: Job, volume: Path, tmp_path: Path
) -> None:
    (volume / NAME / "home/locked").mkdir(parents=True)
    (volume / NAME / "home/locked/file").touch()
    (volume / NAME / "home/locked").chmod(0o500)
    (volume / "w2").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (volume / NAME / "home/link").symlink_to(outside)
    done = remove(job.shell, volume)
    assert done.returncode == 0, done
    assert [path.name for path in volume.iterdir()] == ["w2"]
    assert (outside / "file").exists()
    assert remove(job.shell, volume).returncode == 0


def test_removal_of_a_link_leaves_what_it_leads_to(job: Job, volume: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (volume / NAME).symlink_to(outside)
    assert remove(job.shell, volume).returncode == 0
    assert (outside / "file").exists()
    assert list(volume.iterdir()) == []


def test_removal_on_another_runner_fails_and_says_so(job: Job, volume: Path) -> None:
    volume.rmdir()
    done = remove(job.shell, volume)
    assert done.returncode == 1
    assert "it does not have" in done.stdout


class TestWhatIsLeft:
    """As it ends a job tells what only its files have, for nobody can ask afterwards."""

    LOOK = f"{SCRIPT}read -r root <$run/root; find_unsaved"

    def left(self, job: Job, **more: str) -> str:
        job.sh(self.LOOK, **more)
        return job.file("left")

    def begun(self, job: Job) -> Path:
        root = job.start("no")
        (job.base / "run/restored").touch()
        return root / "projects"

    def test_it_is_counted_by_the_one_definition(self, job: Job) -> None:
        projects = self.begun(job)
        assert self.left(job) == "0.0.0"
        (projects / "notes.txt").touch()
        subprocess.run(["git", "init", "-q", projects / "app"], check=True)
        (projects / "app/new.txt").touch()
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(
            ["git", "-C", projects / "app", *identity, "commit", "-q", "--allow-empty", "-m", "mine"],
            check=True,
        )
        assert self.left(job) == "1.0.2"

    def test_of_a_job_that_did_not_get_all_that_was_saved_there_may_be_more(self, job: Job) -> None:
        job.start("1.1")
        (job.base / "run/restored").touch()
        assert job.file("facts") == "cache=missed"
        assert self.left(job) == "0.0.0.more"

    def test_nor_is_all_known_where_a_state_is_set_aside(self, job: Job) -> None:
        (self.begun(job).parent / "aside").mkdir()
        assert self.left(job) == "0.0.0.more"

    def test_nor_where_its_setup_was_cut_off(self, job: Job) -> None:
        job.start("no")
        assert self.left(job) == "0.0.0.more"

    def test_a_look_that_takes_too_long_is_cut_off_and_holds_up_no_end(
        self, job: Job, tmp_path: Path
    ) -> None:
        projects = self.begun(job)
        subprocess.run(["git", "init", "-q", projects / "app"], check=True)
        slow = tmp_path / "bin/git"
        slow.parent.mkdir()
        slow.write_text("#!/bin/sh\nexec sleep 600\n")
        slow.chmod(0o755)
        assert (
            self.left(job, WSDASH_UNSAVED_S="1", PATH=f"{slow.parent}:{os.environ['PATH']}") == "0.0.0.more"
        )
        assert job.end() == "1.1"

    def test_one_that_still_waits_for_imported_files_says_nothing(self, job: Job) -> None:
        job.start("import")
        assert self.left(job) == ""
