"""Work that is kept before its workspace is deleted: all of it comes back by what was kept, or nothing is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.job.conftest import SHELLS, as_parameter
from tests.repositories import commit_files, git
from wsdash.backend.errors import UserError
from wsdash.backend.job import shell
from wsdash.backend.operations import save_work
from wsdash.backend.operations.save_work import SavedWork, keep
from wsdash.backend.providers import unsaved_work
from wsdash.backend.providers.types import CheckoutQuery

SUBMODULE = ("-c", "protocol.file.allow=always", "submodule", "--quiet")


def answer(files: dict[str, bytes]) -> bytes:
    """The answer of a job that keeps these."""
    lines = [f"file {name} {len(data)} {hashlib.sha256(data).hexdigest()}" for name, data in files.items()]
    head = "\n".join(["wsdash-kept 1", *lines, "data\n"])
    return head.encode() + b"".join(files.values()) + b"\nwsdash-kept\n"


FILES = {"work.bundle": b"first\ndata\n", "files.tar": b"\0second", "contents": b"work.bundle\tsha1\t.//\n"}


def test_what_came_is_kept_as_it_came_beside_our_own_script(tmp_path: Path) -> None:
    kept = keep(answer(FILES), "web", tmp_path / "kept", 0.0)
    assert kept.folder is not None and kept.has_project and not kept.has_other_files
    assert {name: (kept.folder / name).read_bytes() for name in FILES} == FILES
    assert "Restores the work" in (kept.folder / "restore.sh").read_text()
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700


@given(st.data())
def test_an_answer_that_was_cut_off_keeps_nothing(data: st.DataObject) -> None:
    whole = answer(FILES)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(UserError, match=r"cannot be saved|arrived"):
        keep(whole[:length], "web", Path("/nowhere"), 0.0)


@pytest.mark.parametrize("name", ["../outside", "restore.sh", "work.bundle/x", "x.bundle", ""])
def test_a_job_names_no_other_files(name: str) -> None:
    with pytest.raises(UserError, match="arrived incomplete"):
        keep(answer({name: b"x"}), "web", Path("/nowhere"), 0.0)


def test_the_state_of_what_was_packed_is_taken_over_and_nothing_else_in_its_place(tmp_path: Path) -> None:
    state = "0" * 64
    output = answer(FILES).replace(b"wsdash-kept 1\n", f"wsdash-kept 1\nstate {state}\n".encode(), 1)
    assert keep(output, "web", tmp_path / "kept", 0.0).state == state
    with pytest.raises(UserError, match="arrived incomplete"):
        keep(output.replace(state.encode(), b"../outside"), "web", Path("/nowhere"), 0.0)


def test_other_bytes_than_were_named_are_refused() -> None:
    with pytest.raises(UserError, match="arrived damaged"):
        keep(answer(FILES).replace(b"first\n", b"worse\n"), "web", Path("/nowhere"), 0.0)


def test_where_there_is_nothing_no_folder_is_made(tmp_path: Path) -> None:
    assert keep(answer({}), "web", tmp_path / "kept", 0.0) == SavedWork()
    assert not (tmp_path / "kept").exists()


def test_what_was_kept_before_is_never_written_over(tmp_path: Path) -> None:
    first = keep(answer(FILES), "web", tmp_path, 0.0)
    second = keep(answer({**FILES, "files.tar": b"other"}), "web", tmp_path, 0.0)
    assert first.folder is not None and second.folder is not None
    assert (first.folder / "files.tar").read_bytes() == FILES["files.tar"]
    assert (second.folder / "files.tar").read_bytes() == b"other"


# --- with real repositories ---------------------------------------------------------------------------------


class Place:
    """A workspace's files, and where they come back."""

    def __init__(self, folder: Path, shell: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.shell = shell
        self.root = folder / "projects"
        self.app = self.root / "app"
        self.origin = folder.parent / "origin"
        for name in ("home", "tmp", "projects"):
            (folder / name).mkdir(parents=True)
        monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
        self.origin.mkdir()
        git(self.origin, "init", "--quiet", "--initial-branch=main")
        (self.origin / "script").write_text("#!/bin/sh\n")
        commit_files(self.origin, {"file": "one\n", "gone": "g\n", "old name": "o\n" * 9}, "First")
        git(self.origin, "branch", "feature")
        git(self.root, "clone", "--quiet", "--no-local", str(self.origin), "app")

    def pack(self, project: str = "app") -> bytes:
        question = save_work.question(project)
        assert len(question.program) < 128 * 1024
        return self.ask(question)

    def ask(self, question: CheckoutQuery) -> bytes:
        done = subprocess.run(
            [*self.shell, *question.argv[1:]],
            input=question.program,
            capture_output=True,
            check=False,
            timeout=120,
            env={
                **os.environ,
                "PROJECTS_ROOT": str(self.root),
                "HOME": str(self.folder / "home"),
                "WSDASH_SOURCE": str(self.origin),
            },
        )
        assert done.stderr == b""
        assert list((self.folder / "tmp").iterdir()) == []
        return done.stdout

    def state(self) -> str:
        """As it is told before the workspace is deleted."""
        question = unsaved_work.question(exact=True)
        work = unsaved_work.answer(self.ask(question))
        assert work is not None and work.totals.is_whole
        return work.state

    def keep(self, project: str = "app") -> SavedWork:
        return keep(self.pack(project), "web", self.folder / "kept", 0.0)

    def clone(self) -> Path:
        git(self.folder.parent, "clone", "--quiet", "--no-local", str(self.origin), "clone")
        return self.folder.parent / "clone"

    def empty(self) -> Path:
        (self.folder / "empty").mkdir()
        return self.folder / "empty"

    def restore(self, kept: SavedWork, folder: Path, *words: str) -> Path:
        done = subprocess.run(
            [*self.shell, str(kept.script), *words], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return folder


@pytest.fixture(params=[*SHELLS, as_parameter("bash", long=True)], ids=lambda shell: shell[0])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"{request.param[0]} is not installed")
    return Place(tmp_path / "place", request.param, monkeypatch)


def again(file: Path, data: bytes) -> None:
    """Other content of the same size and time, as a write within one tick of the clock leaves it."""
    before = file.stat()
    assert len(data) == before.st_size
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def restaged(app: Path) -> None:
    held = (app / "file").read_bytes()
    (app / "file").write_text("staged 2\n")
    git(app, "add", "file")
    (app / "file").write_bytes(held)


def relinked(link: Path) -> None:
    link.unlink()
    link.symlink_to("elsewhere")


def renamed(folder: Path) -> None:
    """As many files of the same content."""
    (folder / "loose").rename(folder / "louse")


LATE: dict[str, Callable[[Place], object]] = {
    "a changed file again": lambda place: again(place.app / "file", b"Not staged\n"),
    "an untracked file again": lambda place: again(place.app / "binary", bytes(reversed(range(256)))),
    "a file outside of repositories": lambda place: again(place.root / "loose", b"Loose"),
    "its name": lambda place: renamed(place.root),
    "a name with a newline": lambda place: again(place.root / "new\nline", b"Line"),
    "a link": lambda place: relinked(place.app / "link"),
    "a mode": lambda place: (place.app / "binary").chmod(0o755),
    "what is staged": lambda place: restaged(place.app),
    "the last commit": lambda place: git(place.app, "commit", "--quiet", "--amend", "--message", "x"),
    "a branch": lambda place: git(place.app, "branch", "--force", "side", "HEAD"),
    "a stash": lambda place: git(place.app, "stash", "drop", "--quiet"),
    "a new file": lambda place: (place.app / "late").touch(),
    "a file that is gone": lambda place: (place.app / "binary").unlink(),
    "a file that was unchanged": lambda place: (place.app / "lone").write_text("L\n"),
    "a file of a nested repository": lambda place: again(place.app / "nested" / "file", b"Nested"),
}
"""Changes after work was packed, and before its workspace is deleted."""


def with_everything(place: Place) -> None:
    work_in(place.app)
    (place.root / "loose").write_text("loose")
    (place.root / "new\nline").write_text("line")
    git(place.app, "init", "--quiet", "nested")
    commit_files(place.app / "nested", {"file": "one"}, "Nested")
    (place.app / "nested/file").write_text("nested")


@pytest.mark.parametrize("what", LATE)
def test_whatever_changes_after_it_was_packed_is_another_state(place: Place, what: str) -> None:
    with_everything(place)
    kept = place.keep()
    assert kept.state == place.state() != ""
    LATE[what](place)
    assert place.state() != kept.state


def test_what_is_not_kept_changes_no_state(place: Place) -> None:
    with_everything(place)
    (place.app / ".git/info/exclude").write_text("*.log\n")
    before = place.state()
    (place.app / "x.log").write_text("ignored")
    (place.root / "node_modules").mkdir()
    (place.root / "node_modules/x").write_text("a cache")
    (place.folder / "home/x").write_text("home")
    os.utime(place.app / "file")
    assert place.state() == before


def files_in(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Kind and content of each file below, but for what belongs to Git."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if ".git" in path.relative_to(folder).parts:
            continue
        if path.is_symlink():
            found[str(path.relative_to(folder))] = ("link", os.fsencode(path.readlink()))
        elif path.is_file():
            kind = "program" if os.access(path, os.X_OK) else "file"
            found[str(path.relative_to(folder))] = (kind, path.read_bytes())
    return found


def state_of(folder: Path) -> dict[str, object]:
    """All that a user of the repository sees of it."""
    return {
        "status": git(folder, "status", "--porcelain"),
        "head": git(folder, "rev-parse", "--symbolic-full-name", "HEAD"),
        "commit": git(folder, "rev-parse", "HEAD"),
        "staged": git(folder, "diff", "--cached", "--binary"),
        "stashes": git(folder, "stash", "list", "--format=%gd %gs %H"),
        "branches": git(folder, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads"),
        "tags": git(folder, "for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"),
        "files": files_in(folder),
    }


def work_in(folder: Path) -> None:
    """Something of every kind of work."""
    commit_files(folder, {"committed": "c\n"}, "On the branch")
    git(folder, "checkout", "--quiet", "-b", "side")
    commit_files(folder, {"side": "s\n"}, "On another branch")
    git(folder, "tag", "-a", "-m", "mine", "mine")
    for text in ("older", "newer"):
        (folder / "file").write_text(text)
        (folder / f"new {text}").write_text(text)
        git(folder, "stash", "push", "--quiet", "--include-untracked", "--message", text)
    git(folder, "checkout", "--quiet", "--detach")
    commit_files(folder, {"lone": "l\n"}, "On HEAD alone")
    (folder / "file").write_text("staged\n")
    git(folder, "add", "file")
    (folder / "file").write_text("not staged\n")
    git(folder, "mv", "old name", "new name")
    (folder / "gone").unlink()
    (folder / "script").chmod(0o755)
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "link").symlink_to("nowhere")
    (folder / "deep").mkdir()
    (folder / "deep/-a\nname").write_text("odd\r\n")
    (folder / os.fsdecode(b"caf\xe9")).write_text("latin")


def test_all_of_a_repository_comes_back_into_a_fresh_clone(place: Place) -> None:
    work_in(place.app)
    kept = place.keep()
    assert place.app.exists()
    clone = place.restore(kept, place.clone())
    assert state_of(clone) == state_of(place.app)
    assert {path.name for path in (kept.folder or clone).iterdir()} == {
        "contents",
        "work.bundle",
        "restore.sh",
    }


def test_all_of_a_repository_comes_back_into_an_empty_folder(place: Place) -> None:
    work_in(place.app)
    assert state_of(place.restore(place.keep(), place.empty())) == state_of(place.app)


UTF16 = "caf\u00e9\n".encode("utf-16-le")


@pytest.mark.parametrize(
    ("attributes", "setting", "here", "as_git_writes", "changed"),
    [
        ("* text=auto eol=crlf", "", b"a\r\n", b"a\r\n", b"a\r\nlone\n"),
        ("* text=auto eol=crlf", "", b"a\n", b"a\r\n", b"a\nmixed\r\n"),
        ("* text=auto", "", b"a\r\n", b"a\n", b"b\r\n"),
        ("", "core.autocrlf", b"a\r\n", b"a\n", b"b\r\n"),
        ("text working-tree-encoding=UTF-16LE", "", UTF16, UTF16, b"odd"),
    ],
    ids=["eol", "eol, otherwise here", "auto", "autocrlf", "encoding"],
)
def test_a_file_that_is_clean_for_git_comes_back_as_git_writes_it_and_a_changed_one_byte_for_byte(
    place: Place, attributes: str, setting: str, here: bytes, as_git_writes: bytes, changed: bytes
) -> None:
    app = place.app
    if setting:
        git(app, "config", setting, "true")
    (app / ".gitattributes").write_text(f"{attributes}\n")
    (app / "text").write_bytes(here)
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "-m", "Mine")
    os.utime(app / "text", (1, 1))
    clone = place.restore(place.keep(), place.clone())
    assert (clone / "text").read_bytes() == as_git_writes
    assert git(clone, "status", "--porcelain") == ""
    (app / "text").write_bytes(changed)
    assert (place.restore(place.keep(), place.empty()) / "text").read_bytes() == changed


def test_an_expanded_id_comes_back(place: Place) -> None:
    (place.app / ".gitattributes").write_text("* ident\n")
    commit_files(place.app, {"text": "$Id$\n"}, "Mine")
    (place.app / "text").unlink()
    git(place.app, "checkout", "--quiet", "text")
    clone = place.restore(place.keep(), place.clone())
    assert (clone / "text").read_bytes() == (place.app / "text").read_bytes() != b"$Id$\n"


def test_bytes_as_committed_come_back_where_something_else_is_staged(place: Place) -> None:
    (place.app / ".gitattributes").write_text("text text eol=crlf\n")
    commit_files(place.app, {"text": "a\n"}, "Mine")
    (place.app / "text").write_text("b\n")
    git(place.app, "add", "text")
    (place.app / "text").write_text("a\n")
    assert state_of(place.restore(place.keep(), place.clone())) == state_of(place.app)


@pytest.mark.parametrize("staged", [True, False])
def test_a_folder_in_the_place_of_a_file_comes_back(place: Place, staged: bool) -> None:
    if staged:
        git(place.app, "rm", "--quiet", "file")
    else:
        (place.app / "file").unlink()
    (place.app / "file").mkdir()
    (place.app / "file/mine").write_text("m\n")
    assert state_of(place.restore(place.keep(), place.clone())) == state_of(place.app)


def test_a_branch_that_has_gone_on_elsewhere_is_not_moved(place: Place) -> None:
    commit_files(place.app, {"mine": "m\n"}, "Mine")
    kept = place.keep()
    commit_files(place.origin, {"theirs": "t\n"}, "Theirs")
    clone = place.restore(kept, place.clone())
    assert git(clone, "rev-parse", "main") == git(place.origin, "rev-parse", "main")
    assert git(clone, "rev-parse", "HEAD", "kept/main").split() == [git(place.app, "rev-parse", "HEAD")] * 2
    assert git(clone, "status", "--porcelain") == ""


def test_a_clone_that_has_changes_of_its_own_is_left_as_it_is(place: Place) -> None:
    work_in(place.app)
    kept, clone = place.keep(), place.clone()
    (clone / "file").write_text("mine\n")
    done = subprocess.run(["sh", str(kept.script)], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "changes of its own" in done.stderr
    assert (clone / "file").read_text() == "mine\n"


def test_nested_repositories_and_submodules_come_back_in_their_places(place: Place) -> None:
    app = place.app
    git(app, "init", "--quiet", "tools")
    commit_files(app / "tools", {"t": "t"}, "Nested")
    (app / "tools/untracked").write_text("u")
    git(app, "init", "--quiet", "with a\nname")
    (app / "with a\nname/first").write_text("f")
    git(app, *SUBMODULE, "add", str(place.origin), "sub")
    work_in(app / "sub")
    clone = place.restore(place.keep(), place.clone())
    for name in (".", "sub", "tools"):
        assert state_of(clone / name) == state_of(app / name)
    assert git(clone / "with a\nname", "status", "--porcelain") == "?? first"


def test_an_unfinished_merge_is_kept_with_its_other_side(place: Place) -> None:
    app = place.app
    git(app, "checkout", "--quiet", "--detach")
    commit_files(app, {"file": "other\n"}, "The other side")
    other = git(app, "rev-parse", "HEAD")
    git(app, "checkout", "--quiet", "main")
    commit_files(app, {"file": "mine\n"}, "Mine")
    with pytest.raises(subprocess.CalledProcessError):
        git(app, "merge", other)
    clone = place.restore(place.keep(), place.clone())
    assert "<<<<<<<" in (clone / "file").read_text()
    assert git(clone, "rev-parse", "refs/kept/progress/MERGE_HEAD") == other


def test_files_outside_of_any_repository_come_back(place: Place) -> None:
    for name in ("notes/plan\nb", "notes/-x", "run"):
        (place.root / name).parent.mkdir(exist_ok=True)
        (place.root / name).write_text(name)
    (place.root / "run").chmod(0o755)
    (place.root / "link").symlink_to("/nowhere")
    git(place.root, "init", "--quiet", "other")
    commit_files(place.root / "other", {"o": "o"}, "Beside the project")
    kept = place.keep()
    assert kept.has_other_files and not kept.has_project
    folder = place.restore(kept, place.empty(), "beside")
    shutil.rmtree(place.app)
    assert files_in(folder) == files_in(place.root)
    assert state_of(folder / "other") == state_of(place.root / "other")


def test_a_project_without_git_comes_back(place: Place) -> None:
    shutil.rmtree(place.app / ".git")
    (place.app / "kept").write_text("kept")
    assert files_in(place.restore(place.keep(), place.empty())) == files_in(place.app)


def test_a_workspace_without_a_source_comes_back(place: Place) -> None:
    shutil.rmtree(place.app)
    (place.root / "loose").write_text("l")
    git(place.root, "init", "--quiet", "tools")
    commit_files(place.root / "tools", {"t": "t"}, "Nested")
    folder = place.restore(place.keep(""), place.empty())
    assert files_in(folder) == files_in(place.root)


def test_files_in_the_folder_of_a_submodule_that_is_not_checked_out_come_back(place: Place) -> None:
    git(place.origin, *SUBMODULE, "add", str(place.origin), "sub")
    git(place.origin, "commit", "--quiet", "--message=Take it in")
    git(place.app, "pull", "--quiet")
    (place.app / "sub/precious").write_text("p\n")
    clone = place.restore(place.keep(), place.clone())
    assert (clone / "sub/precious").read_text() == "p\n"
    assert git(clone, "status", "--porcelain") == ""


def test_worktrees_of_a_bare_repository_come_back_each_as_a_repository(place: Place) -> None:
    web = place.root / "web"
    git(place.root, "clone", "--quiet", "--bare", str(place.origin), "web/.bare")
    (web / ".git").write_text("gitdir: ./.bare\n")
    for name in ("main", "feature"):
        git(web, "worktree", "add", "--quiet", name)
        (web / name / "file").write_text("staged\n")
        git(web / name, "add", "file")
        (web / name / "file").write_text("not staged\n")
    (web / "notes").write_text("n\n")
    folder = place.restore(place.keep(), place.empty(), "beside")
    for name in ("main", "feature"):
        assert git(folder / "web" / name, "status", "--porcelain") == "MM file"
        assert git(folder / "web" / name, "show", ":file") == "staged"
        assert files_in(folder / "web" / name) == files_in(web / name)
    assert files_in(folder / "web")["notes"] == ("file", b"n\n")
    assert not (folder / "web/.git").exists(), "which would name a folder that is not there"


@pytest.mark.parametrize("git_folder", ["web/.git", "web/.bare", "app/web/.bare", "app/.git/modules/gone"])
def test_the_commits_of_what_has_no_working_tree_come_back_in_one(place: Place, git_folder: str) -> None:
    folder = place.root / git_folder
    git(place.root, "clone", "--quiet", "--bare", str(place.origin), git_folder)
    if folder.name == ".bare":
        (folder.parent / ".git").write_text("gitdir: ./.bare\n")
    blob = git(folder, "rev-parse", "HEAD:file")
    tree = subprocess.run(
        ["git", "mktree"],
        cwd=folder,
        input=f"100644 blob {blob}\tmine\n",
        text=True,
        capture_output=True,
        check=True,
    ).stdout.strip()
    commit = git(folder, "commit-tree", "-p", "HEAD", "-m", "Mine", tree)
    git(folder, "update-ref", "HEAD", commit)
    kept = place.keep()
    words = ["beside"] if kept.has_other_files else []
    target = place.restore(kept, place.empty() if words else place.clone(), *words)
    (found,) = target.glob("**/*git-folders/*")
    assert git(found, "rev-parse", "HEAD") == commit
    assert files_in(found) == {"mine": ("file", b"one\n")}


def test_a_repository_that_is_said_to_be_bare_comes_back_with_its_tree(place: Place) -> None:
    work_in(place.app)
    wanted = state_of(place.app)
    git(place.app, "config", "core.bare", "true")
    assert state_of(place.restore(place.keep(), place.clone())) == wanted


@pytest.mark.parametrize("where", ["", "app/"])
def test_a_bare_repository_comes_back_as_one(place: Place, where: str) -> None:
    """All of its refs are packed, so that it needs folders in which there is nothing."""
    git(place.root, "clone", "--quiet", "--bare", str(place.origin), f"{where}copy of.git")
    bare = place.root / f"{where}copy of.git"
    git(bare, "gc", "--quiet")
    shutil.rmtree(bare / "refs")
    (bare / "refs").mkdir()
    kept = place.keep()
    folder = place.restore(kept, place.clone()) if where else place.restore(kept, place.empty(), "beside")
    assert git(folder / "copy of.git", "rev-parse", "--is-bare-repository", "main") == git(
        bare, "rev-parse", "--is-bare-repository", "main"
    )


def test_a_branch_and_a_tag_of_confusing_names_come_back(place: Place) -> None:
    commit_files(place.app, {"a": "a"}, "Mine")
    for name in ("refs/heads/HEAD", "refs/tags/HEAD", "refs/tags/main"):
        git(place.app, "update-ref", name, "HEAD")
    assert state_of(place.restore(place.keep(), place.clone())) == state_of(place.app)


def test_a_large_repository_is_kept_without_what_its_remote_has(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_files(
        place.origin, {"large": "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(999))}, "Large"
    )
    git(place.app, "pull", "--quiet")
    work_in(place.app)
    text = shell.script
    monkeypatch.setattr(
        shell, "script", lambda name: text(name).replace("complete_kib=32768", "complete_kib=0")
    )
    kept = place.keep()
    assert kept.folder is not None
    assert (kept.folder / "work.bundle").stat().st_size < 20_000
    assert state_of(place.restore(kept, place.clone())) == state_of(place.app)


def test_what_was_pushed_and_committed_is_not_kept_again(place: Place) -> None:
    kept = place.keep()
    assert kept == SavedWork(state=place.state())
    (place.app / "file").write_text("late")
    assert place.state() != kept.state


@pytest.mark.parametrize("fault", ["fifo", "damaged", "lost", "name"])
def test_what_cannot_be_kept_is_named_and_nothing_is_kept(place: Place, fault: str) -> None:
    commit_files(place.app, {"a": "a"}, "Mine")
    if fault == "fifo":
        (place.app / "file").unlink()
        os.mkfifo(place.app / "file")
    elif fault == "damaged":
        (place.app / "tools/.git/objects").mkdir(parents=True)
    elif fault == "name":
        (place.app / "file \x01 of mine").write_text("A name with the byte that stands for a newline.\n")
    else:
        head = git(place.app, "rev-parse", "HEAD:a")
        (place.app / f".git/objects/{head[:2]}/{head[2:]}").unlink()
    with pytest.raises(UserError, match=r"cannot be saved, so it is not deleted: (app|file)"):
        place.keep()
    assert not (place.folder / "kept").exists()


def test_a_file_that_cannot_be_proven_to_come_back_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.app / "file").write_text("mine\n")
    text = shell.script
    monkeypatch.setattr(
        shell,
        "script",
        lambda name: text(name).replace("restore_bytes || return", '(cd "$folder" && echo x >file)'),
    )
    with pytest.raises(UserError, match=r"app: file could not be proven to come back as it is"):
        place.keep()
