"""A look into a repository before a workspace is made of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from wsdash.backend.git.source import SourceError, cause, explain, open_repository, url_of


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    (folder / "devfile.yaml").write_text("schemaVersion: 2.2.0\n")
    git("add", ".")
    git("commit", "-qm", "first")
    git("tag", "v1")
    git("checkout", "-qb", "topic/one")
    (folder / ".devfile").mkdir()
    (folder / ".devfile" / "other.yaml").write_text("schemaVersion: 2.3.0\n")
    git("add", ".")
    git("commit", "-qm", "second")
    git("checkout", "-q", "main")
    return folder


async def test_the_default_branch_is_looked_at_when_no_ref_is_given(repository: Path) -> None:
    async with open_repository(str(repository), None) as seen:
        assert seen.names == ("devfile.yaml",)
        assert await seen.read("devfile.yaml") == b"schemaVersion: 2.2.0\n"
        assert await seen.read("missing.yaml") is None


@pytest.mark.parametrize("ref", ["topic/one", "v1", "main"])
async def test_branches_and_tags(repository: Path, ref: str) -> None:
    async with open_repository(str(repository), ref) as seen:
        assert (".devfile/other.yaml" in seen.names) is (ref == "topic/one")


async def test_a_commit(repository: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "topic/one"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.strip()
    async with open_repository(str(repository), commit) as seen:
        assert ".devfile/other.yaml" in seen.names


async def said(source: str, ref: str | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        async with open_repository(source, ref):
            pass
    return caught.value


async def test_a_ref_that_is_not_there_is_named(repository: Path) -> None:
    error = await said(str(repository), "nowhere")
    assert "has no ref nowhere" in error.message
    assert not error.unreachable


async def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    error = await said(str(tmp_path))
    assert "is not a Git repository" in error.message


async def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    assert "does not exist" in (await said(str(tmp_path / "gone"))).message


async def test_a_path_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be read: File name too long" in (await said("x" * 300)).message
    assert "cannot be read" in (await said("~nobody-of-that-name/app")).message
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for source in (".", "app"):
        assert "cannot be read: No such file or directory" in (await said(source)).message
    assert url_of("https://example.com/group/app.git") == "https://example.com/group/app.git"
    assert url_of("git@example.com:" + "x" * 300) == "git@example.com:" + "x" * 300


async def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert "has no commit yet" in (await said(str(tmp_path))).message


@pytest.mark.parametrize("hostile", ["--upload-pack=touch /tmp/x", "ext::sh -c id", "", "a\nb", "fd::17"])
def test_what_could_run_a_command_is_refused(hostile: str) -> None:
    with pytest.raises(SourceError):
        url_of(hostile)


async def test_a_ref_that_could_be_an_option_is_refused(repository: Path) -> None:
    assert "is not a valid ref" in (await said(str(repository), "--upload-pack=id")).message


async def test_without_git_it_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "git is not installed" in (await said(str(repository))).message


async def test_a_server_that_does_not_answer_is_unreachable_not_wrong() -> None:
    error = await said("https://127.0.0.1:1/a.git")
    assert error.unreachable


SSH_ADVICE = """fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
"""


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (
            "ssh: connect to host h port 22: Connection refused\r\n" + SSH_ADVICE,
            "ssh: connect to host h port 22: Connection refused",
        ),
        (
            "Warning: Permanently added 'h' (ED25519) to the list of known hosts.\n"
            "git@h: Permission denied (publickey).\n" + SSH_ADVICE,
            "git@h: Permission denied (publickey).",
        ),
        (
            "No ED25519 host key is known for h and you have requested strict checking.\n"
            "Host key verification failed.\n" + SSH_ADVICE,
            "Host key verification failed.",
        ),
        (
            "ssh: Could not resolve hostname h: Name or service not known\n" + SSH_ADVICE,
            "ssh: Could not resolve hostname h: Name or service not known",
        ),
        (
            "remote: \nremote: ========\nremote: \nremote: ERROR: The project could not be found.\nremote: \n"
            "remote: ========\nremote: \n" + SSH_ADVICE,
            "The project could not be found.",
        ),
        ("Welcome.\nERROR: Repository not found.\n" + SSH_ADVICE, "Repository not found."),
        (SSH_ADVICE, "Could not read from remote repository."),
        (
            "fatal: unable to access 'https://h/a/': Could not resolve host: h\n",
            "unable to access 'https://h/a/': Could not resolve host: h",
        ),
        (
            "error: RPC failed; HTTP 500\nfatal: expected flush after ref listing\nhint: try again\n",
            "expected flush after ref listing",
        ),
        ("", "git gave no reason"),
    ],
)
def test_the_line_that_tells_the_cause_is_shown(printed: str, told: str) -> None:
    assert cause(printed) == told
    message = str(explain(printed, "git@h:g/app.git", None))
    assert "the repository exists" not in message


async def test_a_failure_of_ssh_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "GIT_SSH_COMMAND", "echo 'ssh: connect to host h port 22: Connection refused' >&2; false"
    )
    error = await said("git@h:g/app.git")
    assert str(error) == "git@h:g/app.git: ssh: connect to host h port 22: Connection refused"
