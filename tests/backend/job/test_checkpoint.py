"""Checkpoints by `checkpoint.sh` with real repositories: what comes back, and what is never overwritten."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.backend.job.conftest import SHELLS
from tests.repositories import git
from tests.waiting import until_sync
from wsdash.backend.job.render import checkpoint_scripts, render, scripts
from wsdash.workload import Source, Workload

HOME_FILES = (".bash_history", "../outside", "/etc/passwd")


@dataclass
class Kept:
    """The last checkpoint that the other side has taken."""

    id: str = "0.0"
    base: str = "0.0"
    data: bytes = b""

    @property
    def hash(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()


@dataclass
class Place:
    """One attempt's job as far as checkpoints go: its folders, and the checkout in them."""

    folder: Path
    shell: tuple[str, ...]
    attempt: int
    workload: Workload
    env: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.folder / "projects/project"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def prepare(self) -> None:
        for name in ("projects", "home", "state", "run/job"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        files = scripts() | checkpoint_scripts() | {"workload.sh": render(self.workload).encode()}
        for name, data in files.items():
            (self.folder / "run/job" / name).write_bytes(data)
        (self.folder / "run/restored").touch()

    def start(self, *words: str, stdin: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
        env = {
            **os.environ,
            "PROJECTS_ROOT": str(self.folder / "projects"),
            "HOME": str(self.home),
            "WSDASH_RUN": str(self.folder / "run"),
            "WSDASH_ATTEMPT": f"abc.{self.attempt}.1",
            "WSDASH_JOB_PID": str(os.getpid()),
            **self.env,
        }
        argv = [*self.shell, str(self.folder / "run/job/checkpoint.sh"), *words]
        return subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)

    def run(self, *words: str, data: bytes = b"") -> tuple[int, str]:
        with self.start(*words) as process:
            printed, complained = process.communicate(data, 60)
        return process.returncode, (printed + complained).decode().strip()

    @contextmanager
    def streaming(self, kept: Kept) -> Iterator[Line]:
        with self.start("stream") as process:
            line = Line(process, kept)
            line.send_line(f"{kept.id} {kept.hash}")
            yield line
            process.kill()

    def save(self, kept: Kept) -> Kept:
        """The next checkpoint."""
        with self.streaming(kept) as line:
            return line.take()

    def restore(self, kept: Kept) -> tuple[int, str]:
        file = self.folder / "run/incoming"
        file.write_bytes(kept.data)
        return self.run("restore", str(file), kept.id)


@dataclass
class Line:
    """The other side of `stream`."""

    process: subprocess.Popen[bytes]
    kept: Kept

    def send_line(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().split()

    def take(self) -> Kept:
        """The next checkpoint, which must be another one or the same again."""
        assert self.process.stdout is not None
        words = self.hear()
        if words[0] == "new":
            _, id_, base, _, size, hash_ = words
            self.kept = Kept(id_, base, self.process.stdout.read(int(size)))
            assert self.kept.hash == hash_
        else:
            assert words[0] == "same", words
        self.send_line("kept")
        return self.kept


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "app.py").write_text("print('hello')\n")
    (folder / "old.py").write_text("old\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "branch", "feature")
    return folder


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def place_of(request: pytest.FixtureRequest, tmp_path: Path, origin: Path) -> Callable[..., Place]:
    """A job's place by the number of its attempt, with a fresh clone of the origin."""
    shell: tuple[str, ...] = request.param

    def make(attempt: int, *, cloned: bool = True, workload: Workload | None = None) -> Place:
        workload = workload or Workload(source=Source(str(origin)), home_files=HOME_FILES)
        place = Place(tmp_path / f"job-{attempt}", shell, attempt, workload)
        place.prepare()
        if cloned:
            git(place.folder, "clone", "-q", str(origin), str(place.project))
            git(place.project, "config", "user.email", "a@example.com")
            git(place.project, "config", "user.name", "a")
        return place

    return make


def state_of(project: Path) -> dict[str, str]:
    """All that git tells of a checkout, and the bytes of its files."""
    asked = {
        "status": ("status", "--porcelain=v2", "--untracked-files=all"),
        "staged": ("diff", "--cached"),
        "branch": ("rev-parse", "--symbolic-full-name", "HEAD"),
        "heads": ("for-each-ref", "refs/heads"),
        "stashes": ("stash", "list", "--format=%gd %s"),
    }
    output = {name: git(project, *words) for name, words in asked.items()}
    files = sorted(p for p in project.rglob("*") if ".git" not in p.relative_to(project).parts)
    output["files"] = repr(
        [
            (
                str(p.relative_to(project)),
                str(p.readlink()) if p.is_symlink() else p.read_bytes(),
                p.lstat().st_mode,
            )
            for p in files
            if p.is_symlink() or p.is_file()
        ]
    )
    return output


def written_in(project: Path) -> dict[str, int]:
    """The time of each file's last write; of objects only their names, since git touches those that it meets again."""
    files = [p for p in project.rglob("*") if not p.is_symlink()]
    return {str(p): 0 if "objects" in p.parts else p.stat().st_mtime_ns for p in files}


def work_in(place: Place) -> None:
    """Something of every kind that git can tell."""
    project = place.project
    (project / "app.py").write_text("stashed\n")
    git(project, "stash", "-q")
    (project / "app.py").write_text("stashed later\n")
    git(project, "stash", "-q")
    git(project, "checkout", "-q", "-b", "topic")
    (project / "topic.py").write_text("committed\n")
    git(project, "add", "topic.py")
    git(project, "commit", "-q", "-m", "not pushed")
    (project / "app.py").write_text("staged\n")
    git(project, "add", "app.py")
    (project / "app.py").write_text("not staged\n")
    (project / "old.py").unlink()
    (project / "new dir").mkdir()
    (project / 'new dir/ünï "q" $x\n.txt').write_bytes(b"\x00binary\r\n")
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)
    (project / "link").symlink_to("nowhere")
    (place.home / ".bash_history").write_text("make test\n")


def test_all_unsaved_work_is_there_again_in_a_fresh_clone(place_of: Callable[..., Place]) -> None:
    first = place_of(1)
    work_in(first)
    kept = first.save(Kept())
    assert (kept.id, kept.base) == ("1.1", "0.0")
    second = place_of(2)
    assert second.restore(kept) == (0, "")
    assert state_of(second.project) == state_of(first.project)
    assert (second.home / ".bash_history").read_text() == "make test\n"
    # The line goes on from there.
    (second.project / "more.txt").write_text("more\n")
    assert second.save(kept).base == "1.1"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_what_git_was_told_to_overlook_is_there_again(place_of: Callable[..., Place], flag: str) -> None:
    first = place_of(1)
    git(first.project, "update-index", flag, "app.py")
    (first.project / "app.py").write_text("mine\n")
    second = place_of(2)
    assert second.restore(first.save(Kept())) == (0, "")
    assert (second.project / "app.py").read_text() == "mine\n"


def test_what_a_sparse_checkout_leaves_out_is_not_gone(place_of: Callable[..., Place]) -> None:
    first = place_of(1)
    git(first.project, "sparse-checkout", "set", "--no-cone", "/app.py")
    assert not (first.project / "old.py").exists()
    (first.project / "app.py").write_text("mine\n")
    second = place_of(2)
    assert second.restore(first.save(Kept())) == (0, "")
    assert (second.project / "app.py").read_text() == "mine\n"
    assert (second.project / "old.py").exists()


def test_other_repositories_and_files_outside_of_any_are_there_again(
    place_of: Callable[..., Place], origin: Path
) -> None:
    first = place_of(1)
    project, projects = first.project, first.folder / "projects"
    git(project, "init", "-q", "with no commit")
    (project / "with no commit/draft").write_text("d")
    git(project, "-c", "protocol.file.allow=always", "submodule", "-q", "add", str(origin), "sub")
    for repository in (project / "tools", projects / "beside"):
        git(repository.parent, "init", "-q", "-b", "main", repository.name)
        (repository / "app.py").write_text("mine\n")
        git(repository, "add", ".")
        git(repository, "commit", "-q", "-m", "nowhere else")
    for repository in (project / "sub", project / "tools", projects / "beside"):
        work_in_any(repository)
    (projects / "notes").mkdir()
    (projects / "notes/plan").write_text("p")
    with first.streaming(Kept()) as line:
        kept = line.take()
        until_sync((first.folder / "run/saved").exists, what="the record of it")
    assert not (first.folder / "run/unsaved").exists()
    second = place_of(2)
    assert second.restore(kept)[0] == 0
    for name in ("project/sub", "project/tools", "beside"):
        assert state_of(second.folder / "projects" / name) == state_of(projects / name)
    assert (second.project / "with no commit/draft").read_text() == "d"
    assert (second.folder / "projects/notes/plan").read_text() == "p"


def work_in_any(repository: Path) -> None:
    (repository / "app.py").write_text("stashed\n")
    git(repository, "stash", "-q")
    git(repository, "checkout", "-q", "--detach")
    git(repository, "commit", "-q", "--allow-empty", "-m", "on HEAD alone")
    (repository / "app.py").write_text("staged\n")
    git(repository, "add", "app.py")
    (repository / "app.py").write_text("not staged\n")
    (repository / "untracked").write_text("u\n")


def test_what_an_older_cache_brings_of_another_repository_gives_way_and_can_be_had(
    place_of: Callable[..., Place],
) -> None:
    first, second = place_of(1), place_of(2)
    for place in (first, second):
        git(place.project, "init", "-q", "-b", "main", "tools")
        (place.project / "tools/file").write_text("one\n")
        git(place.project / "tools", "add", ".")
        git(place.project / "tools", "commit", "-q", "-m", "one", "--date=@1 +0000")
        (place.project / "tools/file").write_text(f"of attempt {place.attempt}\n")
        (place.folder / "projects/loose").write_text(f"of attempt {place.attempt}\n")
    assert second.restore(first.save(Kept()))[0] == 0
    assert (second.project / "tools/file").read_text() == "of attempt 1\n"
    assert (second.folder / "projects/loose").read_text() == "of attempt 1\n"
    before = git(second.project / "tools", "show", "refs/wsdash/before/work:file")
    assert before == "of attempt 2"


def test_what_git_does_not_look_at_in_the_project_is_there_again(place_of: Callable[..., Place]) -> None:
    """Files in the folder of a submodule that is not checked out, and empty folders of a bare repository."""
    first = place_of(1)
    commit = git(first.project, "rev-parse", "HEAD")
    git(first.project, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    (first.project / "sub").mkdir()
    (first.project / "sub/precious").write_text("p\n")
    git(first.project, "clone", "-q", "--bare", ".", "copy.git")
    shutil.rmtree(first.project / "copy.git/refs")
    (first.project / "copy.git/refs").mkdir()
    second = place_of(2)
    assert second.restore(first.save(Kept()))[0] == 0
    assert (second.project / "sub/precious").read_text() == "p\n"
    assert git(second.project / "copy.git", "rev-parse", "--is-bare-repository") == "true"


def test_tags_worktrees_and_every_stash_are_there_again(place_of: Callable[..., Place]) -> None:
    first = place_of(1)
    git(first.project, "checkout", "-q", "--detach")
    git(first.project, "commit", "-q", "--allow-empty", "-m", "held by a tag")
    git(first.project, "tag", "-a", "-m", "mine", "mine")
    git(first.project, "checkout", "-q", "main")
    (first.project / ".git/wsdash-fetched").touch()
    git(first.project, "worktree", "add", "-q", "--detach", str(first.folder / "linked"))
    git(first.folder / "linked", "commit", "-q", "--allow-empty", "-m", "in a worktree")
    linked = git(first.folder / "linked", "rev-parse", "HEAD")
    for count in range(25):
        (first.project / "app.py").write_text(f"{count}\n")
        git(first.project, "stash", "-q")
    second = place_of(2)
    assert second.restore(first.save(Kept()))[0] == 0
    assert git(second.project, "rev-parse", "mine") == git(first.project, "rev-parse", "mine")
    assert git(second.project, "log", "-1", "--format=%s", f"refs/kept/worktrees/{linked}") == "in a worktree"
    assert len(git(second.project, "stash", "list").splitlines()) == 25


def test_a_damaged_repository_is_told_and_hinders_nothing_else(place_of: Callable[..., Place]) -> None:
    first = place_of(1)
    (first.project / "tools/.git/objects").mkdir(parents=True)
    (first.project / "app.py").write_text("mine\n")
    with first.streaming(Kept()) as line:
        kept = line.take()
        until_sync((first.folder / "run/saved").exists, what="the record of it")
    assert (first.folder / "run/unsaved").read_text() == "others\n"
    second = place_of(2)
    assert second.restore(kept)[0] == 0
    assert (second.project / "app.py").read_text() == "mine\n"


def test_making_one_changes_nothing_in_the_checkout(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    work_in(place)
    before = written_in(place.project)
    place.save(Kept())
    assert written_in(place.project) == before


def test_it_holds_only_what_is_not_pushed(place_of: Callable[..., Place], origin: Path) -> None:
    (origin / "large.bin").write_bytes(os.urandom(3 << 20))
    git(origin, "add", ".")
    git(origin, "commit", "-q", "-m", "large")
    place = place_of(1)
    (place.project / "small.txt").write_text("small\n")
    assert len(place.save(Kept()).data) < 10_000


def test_what_is_ignored_stays_out(place_of: Callable[..., Place]) -> None:
    first, second = place_of(1), place_of(2)
    (first.project / "debug.log").write_text("noise\n")
    (second.project / "own.log").write_text("stays\n")
    assert second.restore(first.save(Kept()))[0] == 0
    assert not (second.project / "debug.log").exists()
    assert (second.project / "own.log").read_text() == "stays\n"


def test_nothing_is_sent_again_while_nothing_changes(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    place.env["WSDASH_CHECKPOINT_S"] = "0.1"
    work_in(place)
    with place.streaming(Kept()) as line:
        first = line.take()
        assert line.take() is first
        (place.project / "app.py").write_text("changed\n")
        while (second := line.take()) is first:
            pass
        assert (second.id, second.base) == ("1.2", "1.1")


def test_a_line_that_comes_back_is_not_sent_what_it_has(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    work_in(place)
    kept = place.save(Kept())
    with place.streaming(kept) as line:
        assert line.hear()[:2] == ["same", "1.1"]


def test_save_waits_until_it_is_kept(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    assert place.run("save")[0] == 2
    with place.streaming(Kept()) as line:
        line.take()
        (place.project / "last.txt").write_text("last words\n")
        saving = place.start("save")
        assert line.take().id == "1.2"
        assert saving.stdout is not None
        assert saving.stdout.read().startswith(b"kept ")
        assert saving.wait(60) == 0


def test_save_tells_that_it_is_refused(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    with place.streaming(Kept()) as line:
        line.take()
        (place.project / "last.txt").write_text("last words\n")
        saving = place.start("save")
        words = line.hear()
        assert line.process.stdout is not None
        line.process.stdout.read(int(words[4]))
        line.send_line("refused the disk is full")
        assert saving.stdout is not None
        assert saving.stdout.read() == b"failed the disk is full\n"
        assert saving.wait(60) == 1


def test_an_answer_that_takes_its_time_is_waited_for_by_all(place_of: Callable[..., Place]) -> None:
    """Whoever waits for a checkpoint signals again and again, which must not end the one that is being made."""
    place = place_of(1)
    with place.streaming(Kept()) as line:
        line.take()
        (place.project / "last.txt").write_text("last words\n")
        saving = place.start("save")
        words = line.hear()
        assert line.process.stdout is not None
        line.process.stdout.read(int(words[4]))
        for _ in range(3):
            os.kill(line.process.pid, signal.SIGUSR1)
        line.send_line("kept")
        assert saving.stdout is not None
        assert saving.stdout.read().startswith(b"kept ")
        assert line.process.poll() is None
        saving.wait(60)


def test_a_wish_outlives_the_line_on_which_it_was_heard(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    with place.streaming(Kept()) as line:
        kept = line.take()
        (place.project / "last.txt").write_text("last words\n")
        saving = place.start("save")
        assert line.hear()[:2] == ["new", "1.2"]
        line.process.kill()
    with place.streaming(kept) as line:
        line.take()
        assert saving.stdout is not None
        assert saving.stdout.read().startswith(b"kept ")
        saving.wait(60)


def test_one_that_would_be_too_large_is_not_made(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    place.env |= {"WSDASH_CHECKPOINT_MIB": "1", "WSDASH_CHECKPOINT_S": "0.1"}
    (place.project / "large.bin").write_bytes(os.urandom(8 << 20))
    with place.streaming(Kept()) as line:
        assert line.hear() == ["failed", "too-large"]
        (place.project / "large.bin").unlink()
    assert place.save(Kept()).id == "1.1"


def test_an_older_state_gives_way_and_can_still_be_had(place_of: Callable[..., Place]) -> None:
    """A cache brings what an attempt before the one that died has left."""
    older = place_of(1)
    (older.project / "app.py").write_text("older\n")
    (older.project / "only-older.txt").write_text("older\n")
    kept = older.save(Kept())
    newer = place_of(2)
    newer.restore(kept)
    (newer.project / "app.py").write_text("newer\n")
    (newer.project / "only-older.txt").unlink()
    git(newer.project, "commit", "-q", "-a", "-m", "newer")
    kept = newer.save(kept)
    assert older.restore(kept) == (0, "")
    assert state_of(older.project) == state_of(newer.project)
    assert git(older.project, "show", "refs/wsdash/before/work:only-older.txt") == "older"


def test_a_branch_that_has_gone_from_origin_is_fetched_again(
    place_of: Callable[..., Place], origin: Path
) -> None:
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(origin, "checkout", "-q", "feature")
    (origin / "feature.py").write_text("feature\n")
    git(origin, "add", ".")
    git(origin, "commit", "-q", "-m", "feature")
    git(origin, "checkout", "-q", "main")
    first = place_of(1)
    git(first.project, "checkout", "-q", "feature")
    (first.project / "feature.py").write_text("changed\n")
    kept = first.save(Kept())
    git(origin, "branch", "-q", "-D", "feature")
    second = place_of(2)
    assert second.restore(kept) == (0, "")
    assert (second.project / "feature.py").read_text() == "changed\n"


@pytest.mark.parametrize("setting", ["url", "pushurl"])
def test_what_was_pushed_to_another_origin_than_the_source_is_kept(
    place_of: Callable[..., Place], setting: str
) -> None:
    first = place_of(1)
    git(first.folder, "init", "-q", "--bare", "backup.git")
    git(first.project, "config", f"remote.origin.{setting}", str(first.folder / "backup.git"))
    git(first.project, "commit", "-q", "--allow-empty", "-m", "mine")
    git(first.project, "push", "-q", "origin", "main")
    second = place_of(2)
    assert second.restore(first.save(Kept())) == (0, "")
    assert git(second.project, "log", "-1", "--format=%s") == "mine"


def test_one_that_does_not_fit_changes_nothing(place_of: Callable[..., Place], origin: Path) -> None:
    first = place_of(1)
    work_in(first)
    kept = first.save(Kept())
    shutil.rmtree(origin / ".git")
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", ".")
    git(origin, "commit", "-q", "-m", "another history")
    second = place_of(2)
    before = state_of(second.project)
    assert second.restore(kept) == (1, "unfit")
    assert second.restore(Kept("1.1", "0.0", b"no bundle\n")) == (1, "unfit")
    assert state_of(second.project) == before


def test_a_project_without_a_source_is_kept_too(place_of: Callable[..., Place]) -> None:
    first = place_of(1, cloned=False, workload=Workload())
    project = first.folder / "projects"
    (project / "notes").mkdir()
    (project / "notes/a.txt").write_text("a\n")
    kept = first.save(Kept())
    second = place_of(2, cloned=False, workload=Workload())
    assert second.restore(kept) == (0, "")
    assert (second.folder / "projects/notes/a.txt").read_text() == "a\n"


def test_a_repository_that_was_made_in_the_workspace_is_kept_whole(place_of: Callable[..., Place]) -> None:
    first = place_of(1, cloned=False)
    first.project.mkdir()
    git(first.project, "init", "-q", "-b", "trunk")
    work_in_new = first.project / "a.txt"
    work_in_new.write_text("a\n")
    git(first.project, "add", ".")
    git(first.project, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "one")
    work_in_new.write_text("b\n")
    kept = first.save(Kept())
    second = place_of(2, cloned=False)
    assert second.restore(kept) == (0, "")
    assert state_of(second.project) == state_of(first.project)


def test_only_the_wanted_one_is_received_and_only_whole(place_of: Callable[..., Place]) -> None:
    place = place_of(1)
    work_in(place)
    kept = place.save(Kept())
    incoming = place.folder / "run/checkpoint/incoming"
    assert place.run("receive", kept.id, kept.hash, data=kept.data)[0] == 0
    assert not incoming.exists()
    (place.folder / "run/checkpoint/wanted").write_text(f"{kept.id}\n")
    assert place.run("receive", kept.id, kept.hash, data=kept.data[:-1])[0] == 1
    assert not incoming.exists()
    assert place.run("receive", kept.id, kept.hash, data=kept.data)[0] == 0
    assert incoming.read_bytes() == kept.data


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["write", "remove", "add", "commit", "stash", "branch", "executable"]),
        st.sampled_from(["app.py", "old.py", "new.txt", "deep/er/file", "-dash", "sp ace"]),
        st.binary(max_size=40),
    ),
    max_size=12,
)


@given(first=CHANGES, second=CHANGES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[tuple[str, str, bytes]],
    second: list[tuple[str, str, bytes]],
) -> None:
    """Two checkpoints of one job, the last of which is restored in another."""
    folder = tmp_path_factory.mktemp("any")
    origin = folder / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    (origin / "app.py").write_text("app\n")
    git(origin, "add", ".")
    git(origin, "commit", "-q", "-m", "first")
    places = [
        Place(folder / f"job-{n}", ("sh",), n, Workload(source=Source(str(origin)), home_files=HOME_FILES))
        for n in (1, 2)
    ]
    for place in places:
        place.prepare()
        git(place.folder, "clone", "-q", str(origin), str(place.project))
    kept = Kept()
    for changes in (first, second):
        for change in changes:
            apply(places[0].project, *change)
        kept = places[0].save(kept)
    assert places[1].restore(kept) == (0, "")
    assert state_of(places[1].project) == state_of(places[0].project)


def apply(project: Path, what: str, name: str, data: bytes) -> None:
    file = project / name
    match what:
        case "write":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        case "remove":
            file.unlink(missing_ok=True)
        case "executable" if file.exists():
            file.chmod(0o755)
        case "add":
            git(project, "add", "--all")
        case "commit":
            git(project, "commit", "-q", "--allow-empty", "-m", name)
        case "stash":
            git(project, "stash", "-q", "-u")
        case "branch":
            branch = f"b{data.hex()}"[:20]
            if not git(project, "branch", "--list", branch).strip():
                git(project, "checkout", "-q", "-b", branch)
