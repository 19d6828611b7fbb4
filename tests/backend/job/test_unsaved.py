"""`unsaved.sh` reports all unsaved work of real repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.job.conftest import SHELLS, as_parameter
from tests.repositories import commit_files, git
from wsdash.backend.providers import unsaved_work
from wsdash.backend.providers.types import UnsavedWork


@dataclass
class Projects:
    """A workspace's files in `folder`: `app`, a clone of `origin`, which lies outside, is its project."""

    folder: Path
    origin: Path
    shell: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.folder / "projects"

    @property
    def app(self) -> Path:
        return self.root / "app"

    def look(self, project: str = "app", timeout: float = 60, **environment: str) -> UnsavedWork:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        done = subprocess.run(
            [*self.shell, "-c", unsaved_work.program().decode(), "sh", "list"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            env={
                **os.environ,
                "PROJECTS_ROOT": str(self.root),
                "HOME": str(home),
                "TMPDIR": str(temporary),
                "WSDASH_SOURCE": str(self.origin),
                **environment,
            },
        )
        assert done.stderr == b""
        assert list(temporary.iterdir()) == []
        found = unsaved_work.answer(done.stdout, project)
        assert found is not None
        return found


@pytest.fixture(params=[*SHELLS, as_parameter("bash", long=True)], ids=lambda shell: shell[0])
def projects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Projects]:
    found = Projects(tmp_path / "place", tmp_path / "origin", request.param)
    found.root.mkdir(parents=True)
    found.origin.mkdir()
    git(found.origin, "init", "--quiet", "--initial-branch=main")
    commit_files(found.origin, {"file": "one\n", ".gitignore": "*.log\n"}, "First")
    git(found.origin, "tag", "v1")
    git(found.root, "clone", "--quiet", "--no-local", str(found.origin), "app")
    yield found


def subjects(work: UnsavedWork) -> set[str]:
    return {line.partition(" ")[2] for line in work.unpushed}


def test_a_fresh_clone_has_nothing_unsaved(projects: Projects) -> None:
    work = projects.look()
    assert not work
    assert work.totals.words == ""


def test_before_the_first_start_there_is_nothing(projects: Projects) -> None:
    shutil.rmtree(projects.root)
    assert not projects.look()


def test_commits_that_only_one_place_holds_are_each_found(projects: Projects) -> None:
    app = projects.app
    git(app, "checkout", "--quiet", "--detach", "v1")
    commit_files(app, {"a": "a"}, "On a detached HEAD")
    git(app, "checkout", "--quiet", "--detach", "v1")
    commit_files(app, {"b": "b"}, "Held by a tag")
    git(app, "tag", "mine")
    git(app, "checkout", "--quiet", "-b", "wip", "v1")
    commit_files(app, {"c": "c"}, "Held by a branch")
    git(app, "worktree", "add", "--quiet", "--detach", str(projects.folder / "elsewhere"), "v1")
    commit_files(projects.folder / "elsewhere", {"d": "d"}, "In a worktree that lies elsewhere")
    git(app, "checkout", "--quiet", "--detach", "v1")
    commit_files(app, {"e": "e"}, "On HEAD alone")
    work = projects.look()
    assert subjects(work) == {
        "Held by a tag",
        "Held by a branch",
        "In a worktree that lies elsewhere",
        "On HEAD alone",
    }
    assert work.totals.commits == 4
    git(app, "push", "--quiet", "origin", "wip", "HEAD:refs/heads/other")
    assert subjects(projects.look()) == {"Held by a tag", "In a worktree that lies elsewhere"}


def test_a_linked_worktree_is_looked_into_once(projects: Projects) -> None:
    git(projects.app, "worktree", "add", "--quiet", "-b", "side", str(projects.root / "side"))
    commit_files(projects.root / "side", {"a": "a"}, "Beside")
    (projects.root / "side/untracked").touch()
    work = projects.look()
    assert subjects(work) == {"Beside"}
    assert work.totals.commits == 1
    assert work.uncommitted == ("?? ../side/untracked",)


def test_what_came_with_a_clone_is_not_work_of_the_workspace(projects: Projects) -> None:
    git(projects.origin, "checkout", "--quiet", "-b", "release")
    commit_files(projects.origin, {"r": "r"}, "Of a release")
    git(projects.origin, "tag", "-a", "-m", "two", "v2")
    git(projects.origin, "checkout", "--quiet", "main")
    git(projects.origin, "branch", "--quiet", "-D", "release")
    git(projects.root, "clone", "--quiet", "--no-local", str(projects.origin), "again")
    git(projects.root, "clone", "--quiet", "--depth=1", "--branch=v2", f"file://{projects.origin}", "shallow")
    assert not projects.look()
    commit_files(projects.root / "shallow", {"mine": "m"}, "On top of it")
    assert subjects(projects.look()) == {"On top of it (in ../shallow)"}


def test_a_tag_whose_origin_nobody_noted_counts_only_where_no_branch_of_the_remote_holds_its_commit(
    projects: Projects,
) -> None:
    """As in a clone that an earlier version made, or after a fetch: a tag on a lost branch may be the user's own."""
    for tag in (("annotated", "-a", "-m", "notes"), ("light",)):
        git(projects.app, "tag", *tag)
    git(projects.app, "pack-refs", "--all")
    assert not projects.look()
    git(projects.origin, "checkout", "--quiet", "-b", "release")
    commit_files(projects.origin, {"r": "r"}, "Of a release")
    git(projects.origin, "tag", "v2")
    git(projects.origin, "checkout", "--quiet", "main")
    git(projects.origin, "branch", "--quiet", "-D", "release")
    git(projects.app, "fetch", "--quiet", "--tags")
    assert subjects(projects.look()) == {"Of a release"}


def test_every_stash_is_found_newest_first(projects: Projects) -> None:
    for text in ("older", "newer"):
        (projects.app / "file").write_text(text)
        git(projects.app, "stash", "push", "--quiet", "--message", text)
    work = projects.look()
    assert work.stashes == ("stash@{0} On main: newer", "stash@{1} On main: older")
    assert work.totals.words == "2 stashes"
    assert work.unpushed == ()


def test_changes_to_the_index_and_the_tree_are_found(projects: Projects) -> None:
    app = projects.app
    (app / "staged").touch()
    git(app, "add", "staged")
    (app / "file").unlink()
    (app / "new\nline").touch()
    (app / "-dash").touch()
    (app / os.fsdecode(b"\xff")).touch()
    (app / "seen.log").write_text("x" * 5000)
    work = projects.look()
    assert set(work.uncommitted) == {"A  staged", " D file", "?? new\nline", "?? -dash", "?? \ufffd"}
    assert work.totals.files == 5
    assert work.ignored is not None and work.ignored.files == 1 and work.ignored.size >= 5000


@pytest.mark.parametrize(
    "flags", [("--assume-unchanged",), ("--skip-worktree",), ("--assume-unchanged", "--skip-worktree")]
)
def test_a_change_that_git_was_told_to_overlook_is_found(projects: Projects, flags: tuple[str, ...]) -> None:
    for flag in flags:
        git(projects.app, "update-index", flag, "file")
    (projects.app / "file").write_text("mine\n")
    assert projects.look().uncommitted == (" M file",)


def test_a_sparse_checkout_has_nothing_unsaved_but_what_was_changed_in_it(projects: Projects) -> None:
    commit_files(projects.origin, {"in/a": "a", "out/b": "b", "out/new\nline": "c"}, "Folders")
    git(projects.app, "pull", "--quiet")
    git(projects.app, "sparse-checkout", "set", "in")
    assert not (projects.app / "out").exists()
    assert not projects.look()
    (projects.app / "out").mkdir()
    (projects.app / "out/new\nline").write_text("mine")
    assert projects.look().uncommitted == (" M out/new\nline",)


def test_an_image_without_awk_is_told_to_hide_something(projects: Projects) -> None:
    programs = projects.folder / "programs"
    programs.mkdir()
    for folder in ("/bin", "/usr/bin"):
        for file in Path(folder).iterdir():
            if "awk" not in file.name and not (programs / file.name).exists():
                (programs / file.name).symlink_to(file)
    (projects.app / "file").write_text("mine\n")
    git(projects.app, "stash", "--quiet")
    work = projects.look(PATH=str(programs))
    assert work.stashes or work.unreadable


def backup(projects: Projects, place: Path, *words: str) -> None:
    """The project's branch `mine`, with a commit `Mine`, pushed into a new bare repository that is then a remote."""
    place.parent.mkdir(parents=True, exist_ok=True)
    git(projects.folder, "init", "--quiet", "--bare", str(place))
    git(projects.app, "remote", "add", "my/backup", words[0] if words else str(place))
    git(projects.app, "checkout", "--quiet", "-b", "mine")
    commit_files(projects.app, {"a": "a"}, "Mine")
    git(projects.app, "push", "--quiet", "my/backup", "mine")


@pytest.mark.parametrize(
    "place", ["home/my backup.git", "projects/backup.git", "tmp/b.git", "b.git", "/b.git"]
)
def test_what_was_pushed_only_to_where_the_job_writes_is_unsaved(projects: Projects, place: str) -> None:
    """`/b.git` is in the machine's /tmp."""
    backup(projects, Path(f"{projects.folder}{place}") if place[0] == "/" else projects.folder / place)
    if place.startswith("tmp/"):
        (projects.folder / "tmp").rename(projects.folder / "gone")
    assert subjects(projects.look(WSDASH_MACHINE="yes")) == {"Mine"}
    git(projects.app, "push", "--quiet", "origin", "mine")
    assert "Mine" not in subjects(projects.look(WSDASH_MACHINE="yes"))


@pytest.fixture
def lasting(projects: Projects, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that outlives a job that knows it to be a machine's."""
    text = unsaved_work.program().replace(b"volatile='/tmp ", b"volatile='")
    monkeypatch.setattr(unsaved_work, "program", lambda: text)
    return projects.folder.parent / "lasting"


def test_a_folder_of_the_machine_is_a_remote_as_long_as_it_holds_what_was_pushed(
    projects: Projects, lasting: Path
) -> None:
    backup(projects, lasting / "b.git")
    assert not projects.look(WSDASH_MACHINE="yes")
    assert subjects(projects.look()) == {"Mine"}, "in a container it may be the container's own"
    (lasting / "b.git").rename(lasting / "moved.git")
    assert subjects(projects.look(WSDASH_MACHINE="yes")) == {"Mine"}
    git(lasting, "init", "--quiet", "--bare", "b.git")
    assert subjects(projects.look(WSDASH_MACHINE="yes")) == {"Mine"}, "one that was made anew holds nothing"


@pytest.mark.parametrize(
    "url", ["file://{}", "file://localhost{}", "../../../lasting/b.git", "../../../lasting/b"]
)
def test_a_folder_may_be_named_in_any_way(projects: Projects, lasting: Path, url: str) -> None:
    backup(projects, lasting / "b.git", url.format(lasting / "b.git"))
    assert not projects.look(WSDASH_MACHINE="yes")
    shutil.rmtree(lasting)
    assert subjects(projects.look(WSDASH_MACHINE="yes")) == {"Mine"}


def test_a_remote_that_borrows_its_objects_from_the_workspace_holds_nothing(
    projects: Projects, lasting: Path
) -> None:
    backup(projects, lasting / "b.git")
    shutil.rmtree(lasting / "b.git")
    git(lasting, "clone", "--quiet", "--bare", "--shared", str(projects.app), "b.git")
    assert subjects(projects.look(WSDASH_MACHINE="yes")) == {"Mine"}


def test_a_repository_that_was_moved_into_the_place_of_its_own_remote_is_all_unsaved(
    projects: Projects,
) -> None:
    commit_files(projects.app, {"a": "a"}, "Mine")
    git(projects.root, "clone", "--quiet", "--no-local", "app", "second")
    shutil.rmtree(projects.app)
    (projects.root / "second").rename(projects.app)
    assert subjects(projects.look()) == {"First", "Mine"}


def test_what_a_neighbour_knows_to_be_on_a_remote_is_there(projects: Projects) -> None:
    git(projects.root, "clone", "--quiet", "--no-local", "app", "a second")
    commit_files(projects.root / "a second", {"a": "a"}, "Mine")
    git(projects.root / "a second", "push", "--quiet", "origin", "HEAD:refs/heads/pushed")
    assert {line.split(" ", 1)[1] for line in projects.look().unpushed} == {"Mine", "Mine (in ../a second)"}


@pytest.mark.parametrize(
    "settings",
    [
        ("remote.origin.url", "file:///nowhere"),
        ("remote.origin.pushurl", "../gone.git"),
        ("remote.origin.url", "ext::sh -c true"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/other/*"),
        ("url./nowhere/.insteadOf", "ORIGIN"),
        ("url./nowhere/.pushInsteadOf", "ORIGIN"),
    ],
    ids=lambda settings: settings[0],
)
def test_what_is_tracked_of_a_remote_that_is_not_there_counts_for_nothing(
    projects: Projects, settings: tuple[str, str]
) -> None:
    git(projects.app, "remote", "add", "elsewhere", "https://git.example.com/app.git")
    git(projects.app, "checkout", "--quiet", "-b", "mine")
    commit_files(projects.app, {"a": "a"}, "Mine")
    git(projects.app, "push", "--quiet", "origin", "mine")
    assert not projects.look()
    key, value = settings
    git(projects.app, "config", "--replace-all", key, value.replace("ORIGIN", str(projects.origin)))
    assert "Mine" in subjects(projects.look())


def test_what_a_remote_has_left_that_is_configured_no_more_counts_for_nothing(projects: Projects) -> None:
    git(projects.app, "remote", "add", "elsewhere", "https://git.example.com/app.git")
    git(projects.app, "checkout", "--quiet", "-b", "mine")
    commit_files(projects.app, {"a": "a"}, "Mine")
    git(projects.app, "push", "--quiet", "origin", "mine")
    git(projects.app, "config", "--remove-section", "remote.origin")
    assert subjects(projects.look()) == {"Mine"}


def test_what_another_machine_has_is_believed(projects: Projects) -> None:
    commit_files(projects.app, {"a": "a"}, "Mine")
    git(projects.app, "remote", "add", "far", "git.example.com:app.git")
    git(projects.app, "update-ref", "refs/remotes/far/main", "HEAD")
    assert not projects.look()


def test_a_source_that_cannot_be_seen_has_what_the_clone_brought(projects: Projects) -> None:
    """As the folder of a user's home, of which a sandbox shows nothing."""
    commit_files(projects.app, {"a": "a"}, "Mine")
    git(projects.app, "push", "--quiet", "origin", "HEAD:refs/heads/mine")
    projects.origin.rename(projects.folder.parent / "hidden")
    first = git(projects.app, "rev-list", "--max-parents=0", "HEAD")
    (projects.app / ".git/wsdash-fetched").write_text(f"source {projects.origin}\n{first}\n")
    assert subjects(projects.look()) == {"Mine"}
    assert subjects(projects.look(WSDASH_SOURCE="")) == {"First", "Mine"}


def test_a_rebase_that_is_going_on_hides_nothing(projects: Projects) -> None:
    app = projects.app
    git(app, "checkout", "--quiet", "--detach")
    commit_files(app, {"file": "mine\n"}, "Mine")
    git(projects.origin, "checkout", "--quiet", "main")
    commit_files(projects.origin, {"file": "theirs\n"}, "Theirs")
    git(app, "fetch", "--quiet")
    with pytest.raises(subprocess.CalledProcessError):
        git(app, "rebase", "origin/main")
    git(app, "checkout", "--quiet", "--force", "origin/main")
    assert subjects(projects.look()) == {"Mine"}


def test_repositories_below_the_project_are_looked_into(projects: Projects) -> None:
    app = projects.app
    git(app, "init", "--quiet", "tools")
    commit_files(app / "tools", {"t": "t"}, "Nested")
    (app / "tools/untracked").touch()
    git(app, "init", "--quiet", "made of nothing")
    (app / "made of nothing/first").touch()
    git(app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(projects.origin), "sub")
    git(app, "commit", "--quiet", "--message=Take it in")
    git(app, "push", "--quiet", "origin", "HEAD:refs/heads/pushed")
    commit_files(app / "sub", {"s": "s"}, "In a submodule")
    (app / "sub/draft").touch()
    work = projects.look()
    assert subjects(work) == {"Nested (in tools)", "In a submodule (in sub)"}
    assert set(work.uncommitted) == {
        "?? tools/untracked",
        "?? made of nothing/first",
        " M sub",
        "?? sub/draft",
    }


def test_commits_of_a_submodule_that_is_checked_out_no_more_are_found(projects: Projects) -> None:
    app = projects.app
    git(app, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(projects.origin), "sub")
    commit_files(app / "sub", {"s": "s"}, "In a submodule")
    git(app, "submodule", "--quiet", "deinit", "--force", "sub")
    git(app, "rm", "--quiet", "--cached", "--force", "sub", ".gitmodules")
    shutil.rmtree(app / "sub")
    assert {line.split(" ")[1:4].__str__() for line in projects.look().unpushed} == {
        "['In', 'a', 'submodule']"
    }


def test_files_in_the_folder_of_a_submodule_that_is_not_checked_out_are_found(projects: Projects) -> None:
    git(
        projects.app,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(projects.origin),
        "s u*b",
    )
    git(projects.app, "commit", "--quiet", "--message=Take it in")
    git(projects.app, "push", "--quiet", "origin", "HEAD:refs/heads/pushed")
    shutil.rmtree(projects.app)
    git(projects.root, "clone", "--quiet", "--branch=pushed", "--no-local", str(projects.origin), "app")
    assert not projects.look()
    (projects.app / "s u*b/deep").mkdir()
    (projects.app / "s u*b/deep/draft").touch()
    (projects.app / "s u*b/node_modules").mkdir()
    (projects.app / "s u*b/node_modules/cached").touch()
    git(projects.app / "s u*b", "init", "--quiet", "inner")
    (projects.app / "s u*b/inner/file").touch()
    work = projects.look()
    assert work.files == ("s u*b/deep/draft",)
    assert work.uncommitted == ("?? s u*b/inner/file",)


def around_a_bare(projects: Projects, place: Path) -> Path:
    """A bare clone in `.bare`, which a file `.git` names, and a clean linked worktree of it, which is returned."""
    git(place.parent, "clone", "--quiet", "--bare", "--no-local", str(projects.origin), f"{place.name}/.bare")
    (place / ".git").write_text("gitdir: ./.bare\n")
    git(place, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    git(place, "fetch", "--quiet")
    git(place, "worktree", "add", "--quiet", "main")
    return place / "main"


@pytest.mark.parametrize("place", ["web", "app/web"])
def test_worktrees_of_a_bare_repository_are_working_trees(projects: Projects, place: str) -> None:
    main = around_a_bare(projects, projects.root / place)
    assert not projects.look()
    (main / "file").write_text("staged\n")
    git(main, "add", "file")
    (main / "file").write_text("mine\n")
    (main.parent / "notes").touch()
    git(main, "branch", "other")
    work = projects.look(project="")
    assert work.uncommitted == (f"MM {place}/main/file",)
    assert work.files == (f"{place}/notes",)
    commit_files(main, {}, "Mine")
    assert [line.partition(" ")[2] for line in projects.look(project="").unpushed] == [
        f"Mine (in {place}/main)"
    ]


def test_a_bare_git_folder_is_a_repository_without_a_tree(projects: Projects) -> None:
    git(projects.root, "clone", "--quiet", "--bare", "--no-local", str(projects.origin), "web/.git")
    web = projects.root / "web"
    git(web, "worktree", "add", "--quiet", "--detach", "here")
    commit_files(web / "here", {"a": "a"}, "Mine")
    git(web, "branch", "mine", git(web / "here", "rev-parse", "HEAD"))
    git(web, "worktree", "remove", "--force", "here")
    (web / "notes").touch()
    work = projects.look()
    assert subjects(work) == {"Mine (in ../web/.git)"}
    assert work.files == ("../web/notes",)


def test_a_repository_that_is_said_to_be_bare_and_has_an_index_has_a_tree(projects: Projects) -> None:
    git(projects.app, "config", "core.bare", "true")
    assert not projects.look()
    (projects.app / "file").write_text("mine\n")
    assert projects.look().uncommitted == (" M file",)


def test_a_ref_of_a_confusing_name_is_no_problem(projects: Projects) -> None:
    for name in ("refs/heads/HEAD", "refs/tags/HEAD", "refs/tags/main"):
        git(projects.app, "update-ref", name, "HEAD")
    assert not projects.look()
    git(projects.app, "checkout", "--quiet", "refs/heads/HEAD")
    commit_files(projects.app, {"a": "a"}, "Mine")
    git(projects.app, "update-ref", "refs/heads/HEAD", "HEAD")
    work = projects.look()
    assert subjects(work) == {"Mine"} and work.totals.is_whole


def test_a_repository_whose_git_folder_lies_elsewhere_is_one(projects: Projects) -> None:
    (projects.folder / "home").mkdir()
    git(projects.root, "init", "--quiet", "--separate-git-dir", str(projects.folder / "home/x.git"), "apart")
    commit_files(projects.root / "apart", {"a": "a"}, "Apart")
    assert subjects(projects.look()) == {"Apart (in ../apart)"}


def test_a_repository_without_a_remote_has_everything_unsaved(projects: Projects) -> None:
    git(projects.app, "update-ref", "refs/stale", "HEAD")
    git(projects.app, "config", "--remove-section", "remote.origin")
    assert subjects(projects.look()) == {"First"}


def test_files_outside_of_any_repository_are_unsaved_but_for_caches(projects: Projects) -> None:
    root = projects.root
    for name in ("notes/plan", "notes/node_modules/m", ".cache/c", ".wsdash/sessions/1", "notes/[a]*"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "link").symlink_to("/nowhere")
    work = projects.look()
    assert set(work.files) == {"../notes/plan", "../notes/[a]*", "../link"}
    assert work.totals.words == "3 files"


def test_a_folder_that_is_no_repository_any_more_is_all_unsaved(projects: Projects) -> None:
    shutil.rmtree(projects.app / ".git")
    assert set(projects.look().files) == {"file", ".gitignore"}


def test_a_workspace_without_a_source(projects: Projects) -> None:
    shutil.rmtree(projects.app)
    (projects.root / "loose").touch()
    assert projects.look("").files == ("loose",)
    git(projects.root, "init", "--quiet")
    assert projects.look("").uncommitted == ("?? loose",)


@dataclass
class Conversion:
    """A way in which Git's own conversions make the working tree differ from what is committed."""

    attributes: str
    here: bytes
    setting: tuple[str, str] = ("core.quotePath", "true")
    scope: str = "local"


CONVERSIONS = {
    "eol": Conversion("* text=auto eol=crlf", b"a\r\nb\r\n"),
    "autocrlf of the repository": Conversion("", b"a\r\nb\r\n", ("core.autocrlf", "true")),
    "autocrlf of the user": Conversion("", b"a\r\nb\r\n", ("core.autocrlf", "true"), "user"),
    "core.eol": Conversion("* text", b"a\r\nb\r\n", ("core.eol", "crlf")),
    "own attributes": Conversion("* text eol=crlf", b"a\r\nb\r\n", scope="info"),
    "ident": Conversion("* ident", b"$Id: 0123 $\n"),
    "encoding": Conversion("text working-tree-encoding=UTF-16LE", "caf\u00e9\n".encode("utf-16-le")),
}


def convert(projects: Projects, conversion: Conversion) -> Path:
    """A file `text` that is committed and pushed, and clean for Git, with other bytes than the commit has."""
    app = projects.app
    (projects.folder / "home").mkdir(exist_ok=True)
    config = projects.folder / "home/.gitconfig" if conversion.scope == "user" else app / ".git/config"
    git(app, "config", "--file", str(config), *conversion.setting)
    if conversion.scope == "user":
        git(app, "config", *conversion.setting)
    (app / ".git/info").mkdir(exist_ok=True)
    attributes = app / (".git/info/attributes" if conversion.scope == "info" else ".gitattributes")
    attributes.write_text(f"{conversion.attributes}\n")
    (app / "text").write_bytes(conversion.here)
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "-m", "Converted")
    git(app, "push", "--quiet", "origin", "HEAD:refs/heads/converted")
    if conversion.scope == "user":
        git(app, "config", "--unset", conversion.setting[0])
    assert (app / "text").read_bytes() != git_bytes(app, "HEAD:text")
    return app / "text"


def git_bytes(folder: Path, name: str) -> bytes:
    return subprocess.run(["git", "show", name], cwd=folder, check=True, capture_output=True).stdout


@pytest.mark.parametrize("moment", ["racy", "stale"])
@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_file_that_git_would_convert_to_what_is_committed_is_no_change(
    projects: Projects, name: str, moment: str
) -> None:
    """If the index cannot decide by the file's times, its content is compared as Git compares it."""
    text = convert(projects, CONVERSIONS[name])
    if moment == "racy":
        # Written in the very moment of the index, so that equal times prove nothing.
        index = projects.app / ".git/index"
        os.utime(index, ns=(index.stat().st_atime_ns, text.stat().st_mtime_ns))
    else:
        os.utime(text, (1, 1))
    assert not projects.look()
    text.write_bytes(text.read_bytes() + "mine\n".encode("utf-16-le" if name == "encoding" else "ascii"))
    assert projects.look().uncommitted == (" M text",)


def test_a_file_that_is_not_in_its_encoding_is_a_change_and_no_problem(projects: Projects) -> None:
    text = convert(projects, CONVERSIONS["encoding"])
    text.write_bytes(b"odd")
    work = projects.look()
    assert work.uncommitted == (" M text",)
    assert work.totals.is_whole


def test_a_file_under_a_filter_is_a_change_unless_the_index_knows_its_times(projects: Projects) -> None:
    """Nobody but the filter, a program that is not run, could say that it is none."""
    app = projects.app
    git(app, "config", "filter.x.clean", "tr a-z A-Z")
    (app / ".gitattributes").write_text("text filter=x\n")
    (app / "text").write_text("small\n")
    os.utime(app / "text", (1, 1))
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "-m", "Filtered")
    git(app, "push", "--quiet", "origin", "HEAD:refs/heads/filtered")
    assert not projects.look()
    os.utime(app / "text", (2, 2))
    assert projects.look().uncommitted == (" M text",)


def test_the_home_folder_is_sized_and_holds_nothing_back(projects: Projects) -> None:
    (projects.folder / "home").mkdir()
    (projects.folder / "home/.profile").write_text("x" * 9000)
    work = projects.look()
    assert not work
    assert work.home is not None and work.home.files == 1 and work.home.size >= 9000


@pytest.mark.parametrize(
    "setting",
    [
        ("core.fsmonitor", "COMMAND; false"),
        ("core.hooksPath", "HOOKS"),
        ("core.pager", "COMMAND"),
        ("core.sshCommand", "COMMAND"),
        ("diff.external", "COMMAND"),
        ("filter.x.clean", "COMMAND"),
        ("filter.x.process", "COMMAND"),
        ("diff.x.textconv", "COMMAND"),
        ("core.alternateRefsCommand", "COMMAND"),
        ("core.worktree", "/"),
        ("core.bare", "nonsense"),
        ("include.path", "FIFO"),
        ("alias.status", "!COMMAND"),
        ("extensions.worktreeConfig", "true"),
        ("log.showSignature", "true"),
    ],
    ids=lambda setting: setting[0],
)
def test_no_configuration_of_a_repository_is_obeyed(projects: Projects, setting: tuple[str, str]) -> None:
    app, proof = projects.app, projects.folder / "proof"
    command = projects.folder / "command"
    command.write_text(f"#!/bin/sh\ntouch {proof}\n")
    command.chmod(0o755)
    hooks = projects.folder / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "reference-transaction", "pre-auto-gc", "post-checkout"):
        shutil.copy(command, hooks / hook)
        shutil.copy(command, app / ".git/hooks" / hook)
    os.mkfifo(projects.folder / "fifo")
    (app / ".gitattributes").write_text("* filter=x diff=x\n")
    (app / "file").write_text("mine\n")
    value = setting[1].replace("COMMAND", str(command)).replace("HOOKS", str(hooks))
    value = value.replace("FIFO", str(projects.folder / "fifo"))
    section, _, key = setting[0].rpartition(".")
    with (app / ".git/config").open("a") as config:
        first, _, second = section.partition(".")
        config.write(f'[{first}{f" {chr(34)}{second}{chr(34)}" if second else ""}]\n\t{key} = "{value}"\n')
    proof.unlink(missing_ok=True)
    work = projects.look(GIT_DIR=str(app / ".git"), GIT_EXTERNAL_DIFF=str(command), GIT_CONFIG_COUNT="x")
    assert not proof.exists()
    assert set(work.uncommitted) == {" M file", "?? .gitattributes"}


@pytest.mark.parametrize("name", [".gitignore", ".git/refs/heads/odd", "deep/.gitattributes"])
def test_what_cannot_be_read_is_said_and_does_not_hang(projects: Projects, name: str) -> None:
    (projects.root / "loose").touch()
    (projects.app / name).parent.mkdir(exist_ok=True)
    (projects.app / name).unlink(missing_ok=True)
    os.mkfifo(projects.app / name)
    work = projects.look()
    assert work
    assert not work.totals.is_whole
    assert "is no ordinary file" in work.unreadable[0]
    assert work.files == ("../loose",)


def test_a_damaged_repository_is_named(projects: Projects) -> None:
    for file in (projects.app / ".git/objects").rglob("*"):
        if file.is_file():
            file.unlink()
    work = projects.look()
    assert not work.totals.is_whole
    assert any("app" in line for line in work.unreadable)


def test_an_answer_that_was_cut_off_is_not_the_whole(projects: Projects) -> None:
    (projects.app / "draft").touch()
    whole = unsaved_work.answer(b"wsdash-unsaved 1\nrepository app\nchange ?? draft\n", "app")
    assert whole is not None
    assert whole.uncommitted == ("?? draft",)
    assert whole.totals.holds and not whole.totals.is_whole
    assert unsaved_work.answer(b"") is None
    assert unsaved_work.answer(b"sh: not found\n") is None
