"""`job.sh fetch` with real repositories: what is cloned, what is refused, and what is never touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.backend.job.conftest import Job
from tests.repositories import commit_files, git, make_repository
from tests.waiting import until_sync
from wsdash.backend.job.protocol import EXIT_CONFIGURATION, EXIT_DONE, EXIT_SOURCE_FAILED
from wsdash.workload import Source, Workload


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """`main` with two commits, a branch, and a tag on the first commit."""
    made = make_repository(tmp_path / "origin", files={"file": "one\n"})
    git(made, "tag", "v1")
    git(made, "branch", "topic/x")
    commit_files(made, {"file": "two\n"}, "Second")
    return made


def of(url: Path | str, ref: str | None = None, folder: str = "app") -> Workload:
    return Workload(source=Source(str(url), ref, folder))


@pytest.mark.parametrize(
    ("ref", "content", "branch"),
    [
        (None, "two\n", "main"),
        ("main", "two\n", "main"),
        ("topic/x", "one\n", "topic/x"),
        ("v1", "one\n", "HEAD"),
    ],
)
def test_a_ref_is_checked_out(job: Job, repository: Path, ref: str | None, content: str, branch: str) -> None:
    code, log = job.fetch(of(repository, ref))
    assert (code, (job.projects / "app" / "file").read_text()) == (EXIT_DONE, content), log
    assert git(job.projects / "app", "rev-parse", "--abbrev-ref", "HEAD") == branch
    assert git(job.projects / "app", "status", "--porcelain") == ""
    assert sorted(entry.name for entry in job.projects.iterdir()) == ["app"]


def test_a_branch_follows_its_origin(job: Job, repository: Path) -> None:
    job.fetch(of(repository, "topic/x"))
    upstream = git(job.projects / "app", "rev-parse", "--abbrev-ref", "topic/x@{upstream}")
    assert upstream == "origin/topic/x"


def test_a_commit_is_checked_out_by_its_full_or_short_id(job: Job, repository: Path) -> None:
    commit = git(repository, "rev-parse", "v1")
    for number, ref in enumerate((commit, commit[:9])):
        code, log = job.fetch(of(repository, ref, f"app{number}"))
        assert (code, (job.projects / f"app{number}" / "file").read_text()) == (EXIT_DONE, "one\n"), log


def test_existing_work_is_kept_and_its_configuration_not_obeyed(job: Job, repository: Path) -> None:
    job.fetch(of(repository))
    project = job.projects / "app"
    proof = job.folder / "proof"
    git(project, "config", "core.fsmonitor", f"touch {proof}")
    (project / "file").write_text("unsaved\n")
    code, log = job.fetch(of(repository, "topic/x"))
    assert code == EXIT_DONE
    assert "the existing work is kept" in log
    assert (project / "file").read_text() == "unsaved\n"
    assert not proof.exists()


def test_a_broken_link_in_the_projects_place_is_kept_too(job: Job, repository: Path) -> None:
    job.projects.mkdir()
    (job.projects / "app").symlink_to(job.folder / "elsewhere")
    code, _ = job.fetch(of(repository))
    assert code == EXIT_DONE
    assert not (job.folder / "elsewhere").exists()


def test_a_link_that_leads_out_of_the_workspace_is_refused(job: Job, repository: Path) -> None:
    outside = job.folder / "outside"
    outside.mkdir()
    job.projects.mkdir()
    (job.projects / "group").symlink_to(outside)
    code, log = job.fetch(of(repository, None, "group/app"))
    assert code == EXIT_CONFIGURATION
    assert "symbolic link" in log
    assert list(outside.iterdir()) == []


def test_a_project_may_lie_in_a_folder_of_its_own(job: Job, repository: Path) -> None:
    code, log = job.fetch(of(repository, None, "group/app"))
    assert code == EXIT_DONE, log
    assert (job.projects / "group" / "app" / "file").exists()


def test_what_an_interrupted_clone_left_is_replaced(job: Job, repository: Path) -> None:
    left = job.projects / ".wsdash-fetch" / "clone"
    left.mkdir(parents=True)
    (left / "half").write_text("")
    code, _ = job.fetch(of(repository))
    assert code == EXIT_DONE
    assert sorted(entry.name for entry in job.projects.iterdir()) == ["app"]


@pytest.mark.parametrize(
    ("url", "ref", "says"),
    [
        ("/nowhere/at/all", None, "does not exist"),
        ("{plain}", None, "not a git repository|not appear to be a git repository|does not exist"),
        ("{repository}", "nope", "no branch, tag or commit nope"),
        ("{repository}", "0123456789", "no branch, tag or commit"),
        ("{repository}", "--upload-pack=touch /tmp/x", "may not begin with a dash"),
        ("--upload-pack=touch /tmp/x", None, "may not begin with a dash"),
        ("ext::sh -c 'touch {proof}'", None, "could run a command"),
        ("fd::7", None, "could run a command"),
    ],
)
def test_a_source_that_can_never_work_is_a_configuration_error(
    job: Job, repository: Path, url: str, ref: str | None, says: str
) -> None:
    plain, proof = job.folder / "plain", job.folder / "proof"
    plain.mkdir()
    code, log = job.fetch(of(url.format(plain=plain, repository=repository, proof=proof), ref))
    assert code == EXIT_CONFIGURATION, log
    assert any(words in log for words in says.split("|")), log
    assert not proof.exists()
    assert list(job.projects.iterdir()) == []


def test_a_server_that_does_not_answer_may_be_asked_again(job: Job) -> None:
    # Port 1 of this machine refuses connections.
    code, log = job.fetch(of("http://127.0.0.1:1/app.git"))
    assert code == EXIT_SOURCE_FAILED, log


def test_a_failure_of_ssh_is_told_without_git_s_advice(job: Job, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'ssh: connect to host h port 22: Connection refused' >&2\nexit 255\n")
    ssh.chmod(0o755)
    job.environment["GIT_SSH_COMMAND"] = str(ssh)
    code, log = job.fetch(of("git@h:g/app.git"))
    assert code == EXIT_SOURCE_FAILED
    assert "Connection refused" in log and "Please make sure" not in log and "and the repository" not in log


def test_without_git_the_log_says_so(job: Job, repository: Path) -> None:
    tools = job.folder / "bin"
    tools.mkdir()
    for name in ("sleep", "mkdir", "date", "df", "rm", "mv"):
        (tools / name).symlink_to(shutil.which(name) or name)
    job.shell = (shutil.which(job.shell[0]) or job.shell[0], *job.shell[1:])
    job.environment["PATH"] = str(tools)
    code, log = job.fetch(of(repository))
    assert code == EXIT_CONFIGURATION
    assert "git is missing" in log


def test_an_empty_repository_gives_an_empty_project(job: Job, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "empty")
    code, log = job.fetch(of(tmp_path / "empty"))
    assert code == EXIT_DONE, log
    assert (job.projects / "app" / ".git").is_dir()


def test_submodules_are_not_cloned_and_the_log_says_how(job: Job, repository: Path) -> None:
    commit_files(repository, {".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::false\n'}, "Modules")
    code, log = job.fetch(of(repository))
    assert code == EXIT_DONE
    assert "git submodule update --init" in log


def test_a_clone_shares_no_file_with_a_repository_on_this_machine(job: Job, repository: Path) -> None:
    job.fetch(of(repository))
    objects = job.projects / "app" / ".git" / "objects"
    files = [Path(folder, name) for folder, _, names in os.walk(objects) for name in names]
    assert files
    assert {file.stat().st_nlink for file in files} == {1}


def test_the_callers_git_variables_lead_nowhere(job: Job, repository: Path, tmp_path: Path) -> None:
    job.environment["GIT_DIR"] = str(tmp_path / "other")
    code, log = job.fetch(of(repository))
    assert code == EXIT_DONE, log
    assert not (tmp_path / "other").exists()


def test_term_leaves_no_half_clone(job: Job, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    fake = slow / "git"
    fake.write_text('#!/bin/sh\nfor last; do :; done\nmkdir "$last"; sleep 60\n')
    fake.chmod(0o755)
    job.environment["PATH"] = f"{slow}:{os.environ['PATH']}"
    running = job.start("fetch", of("https://example.com/app.git"))
    until_sync(lambda: (job.projects / ".wsdash-fetch" / "clone").exists())
    assert running.stop() == 0
    assert running.messages("end")[0].fields["cause"] == "cancelled"
    assert list(job.projects.iterdir()) == []
