"""Tokens are found where they are, offered to their own instance alone, and kept where nobody else reads."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from wsdash.backend.providers.errors import PreconditionFailed
from wsdash.backend.providers.gitlab.api.tokens import (
    Credential,
    TokenSource,
    find,
    forget,
    git_environ,
    store,
)

URL = "https://gitlab.example.com"


class MemoryKeyring(KeyringBackend):
    """A keyring that works."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends.fail import Keyring

    monkeypatch.setattr(keyring.core, "_keyring_backend", Keyring())  # type: ignore[no-untyped-call]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "credentials.toml"


def sources(found: list[Credential]) -> list[tuple[str, str]]:
    return [(credential.source, credential.token) for credential in found]


def test_without_a_keyring_a_file_keeps_it_that_only_its_user_reads(file: Path) -> None:
    assert store(URL, "glpat-1", file) == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert sources(find(URL, file, {})) == [(str(file), "glpat-1")]
    assert find("https://other.example.com", file, {}) == []
    forget(URL, file)
    assert not file.exists()


@pytest.mark.parametrize("text", ["tokens = 3", "x = " + "[" * 100_000, "[", "x = " + "9" * 5000])
def test_a_damaged_file_is_told_with_the_remedy(file: Path, text: str) -> None:
    store(URL, "glpat-1", file)
    file.write_text(text)
    with pytest.raises(PreconditionFailed, match="is damaged"):
        find(URL, file, {})


def test_a_file_that_others_can_read_is_refused_with_the_remedy(file: Path) -> None:
    store(URL, "glpat-1", file)
    file.chmod(0o644)
    with pytest.raises(PreconditionFailed) as caught:
        find(URL, file, {})
    assert f"chmod 600 {file}" in caught.value.hint and "glpat-1" not in str(caught.value)


def test_a_keyring_is_preferred_and_the_file_forgets(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(URL, "glpat-1", file)
    monkeypatch.setattr(keyring.core, "_keyring_backend", MemoryKeyring())
    assert store(URL, "glpat-2", file) == "the keyring"
    assert not file.exists()
    assert sources(find(URL, file, {})) == [("the keyring", "glpat-2")]
    forget(URL, file)
    assert find(URL, file, {}) == []


def test_tokens_of_other_programs_are_found_for_their_own_host_only(tmp_path: Path, file: Path) -> None:
    (tmp_path / ".python-gitlab.cfg").write_text(
        f"[global]\ndefault = work\n[work]\nurl = {URL}\nprivate_token = glpat-cfg\n"
        "[other]\nurl = https://gitlab.com\nprivate_token = glpat-com\n"
        f"[helped]\nurl = {URL}\noauth_token = helper: pass show gitlab\n"
    )
    glab = tmp_path / ".config" / "glab-cli"
    glab.mkdir(parents=True)
    (glab / "config.yml").write_text(
        "hosts:\n  gitlab.example.com:\n    token: !!null glpat-glab\n  gitlab.com:\n    token: glpat-x\n"
    )
    environ = {"HOME": str(tmp_path), "GITLAB_HOST": "gitlab.example.com", "GITLAB_TOKEN": "glpat-env"}
    found = find(URL, file, environ)
    assert [credential.token for credential in found] == ["glpat-env", "glpat-cfg", "glpat-glab"]
    assert [c.token for c in find("https://gitlab.com", file, environ)] == ["glpat-com", "glpat-x"]


def test_a_token_that_names_no_host_is_one_of_gitlab_com(file: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "GITLAB_TOKEN": "glpat-env"}
    assert find(URL, file, environ) == []
    assert len(find("https://gitlab.com", file, environ)) == 1
    assert len(find(URL, file, {"HOME": str(tmp_path), "WSDASH_GITLAB_TOKEN": "glpat-own"})) == 1


def test_a_token_is_in_no_repr(file: Path) -> None:
    store(URL, "glpat-secret", file)
    assert "glpat-secret" not in repr(find(URL, file, {}))


@pytest.mark.parametrize("text", ["", "hosts: [", "hosts: {a: 1}", "[]", "a: &a [*a]", "\x00"])
def test_what_other_programs_wrote_may_be_anything(tmp_path: Path, file: Path, text: str) -> None:
    glab = tmp_path / ".config" / "glab-cli"
    glab.mkdir(parents=True)
    (glab / "config.yml").write_text(text)
    (tmp_path / ".python-gitlab.cfg").write_text(text)
    assert find(URL, file, {"HOME": str(tmp_path)}) == []


def test_a_new_token_is_used_without_a_restart(file: Path, tmp_path: Path) -> None:
    now = [0.0]
    source = TokenSource(URL, file, {"HOME": str(tmp_path)}, lambda: now[0])
    with pytest.raises(PreconditionFailed, match="no access token"):
        source()
    store(URL, "glpat-1", file)
    now[0] += 60
    assert source() == "glpat-1"


def asked(url: str, environ: dict[str, str]) -> str:
    """The credentials that Git would get for this address, with these variables added to its environment."""
    done = subprocess.run(
        ["git", "credential", "fill"],
        input=f"url={url}\n\n",
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "false", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_git_of_this_machine_gets_the_token_for_its_instance_alone(file: Path, tmp_path: Path) -> None:
    store(URL, "glpat-1", file)
    source = TokenSource(URL, file, {"HOME": str(tmp_path)}, lambda: 0.0)
    environ = git_environ(URL, None, source, {"GIT_CONFIG_COUNT": "0"})
    assert "password=glpat-1" in asked(f"{URL}/group/app.git", environ)
    assert "glpat-1" not in asked("https://other.example.com/group/app.git", environ)
    assert "glpat-1" not in "".join(value for name, value in environ.items() if name != "WSDASH_GIT_TOKEN")


def test_settings_that_git_has_from_its_environment_stay(file: Path, tmp_path: Path) -> None:
    store(URL, "glpat-1", file)
    source = TokenSource(URL, file, {"HOME": str(tmp_path)}, lambda: 0.0)
    environ = git_environ(URL, "~/ca.pem", source, {"GIT_CONFIG_COUNT": "2"})
    assert environ["GIT_CONFIG_COUNT"] == "3" and "GIT_CONFIG_KEY_2" in environ
    assert environ["GIT_SSL_CAINFO"] == str(Path("~/ca.pem").expanduser())


def test_without_a_token_the_users_own_helpers_are_asked(file: Path, tmp_path: Path) -> None:
    source = TokenSource(URL, file, {"HOME": str(tmp_path)}, lambda: 0.0)
    assert git_environ(URL, None, source, {}) == {}
    file.parent.mkdir()
    file.write_text("[tokens]\n")
    file.chmod(0o644)
    with pytest.raises(PreconditionFailed, match="other users can read it"):
        git_environ(URL, None, TokenSource(URL, file, {"HOME": str(tmp_path)}, lambda: 0.0), {})
