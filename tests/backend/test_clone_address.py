"""The parts of a clone address that are shown, and those that only Git gets."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from shlex import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsdash.backend import clone_address
from wsdash.backend.clone_address import (
    BadAddress,
    Credential,
    redacted,
    scoped,
    settings_for,
    shown,
    split,
    taken_out,
    without_secrets,
)
from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.providers.gitlab.tunnel.git_credentials import CredentialServer
from wsdash.backend.providers.gitlab.tunnel.tunnel import JobTunnel
from wsdash.config.settings import GitLabSettings
from wsdash.workload import Command, EnvVar, Source, Workload

SHELL = Path(clone_address.__file__).parent / "job" / "sh"
OWN = "!f() { printf 'username=user\\npassword=own\\n'; }; f"
"""A helper that stands for the user's own."""

TOKEN = "glpat-SecretSecretSecret"


@pytest.mark.parametrize(
    ("address", "clean", "username", "password"),
    [
        (f"https://oauth2:{TOKEN}@host/group/app.git", "https://host/group/app.git", "oauth2", TOKEN),
        (f"https://gitlab-ci-token:{TOKEN}@host/app", "https://host/app", "gitlab-ci-token", TOKEN),
        (f"http://ada:{TOKEN}@host:8080/app", "http://host:8080/app", "ada", TOKEN),
        (f"HTTPS://ada:{TOKEN}@Host/app", "https://Host/app", "ada", TOKEN),
        (f"https://{TOKEN}:x-oauth-basic@host/app", "https://host/app", TOKEN, "x-oauth-basic"),
        (f"https://{TOKEN}:@host/app", "https://host/app", TOKEN, ""),
        # The user is the token: Git would ask for a password, which such hosts do not want.
        (f"https://{TOKEN}@host/app", "https://host/app", TOKEN, ""),
        ("https://0123456789abcdef0123456789abcdef@host/app", "https://host/app", "0123456789abcdef" * 2, ""),
        # A name alone is no secret, and Git finds the password by it.
        ("https://ada@host/app", "https://host/app", "ada", None),
        ("https://ada%40example.com@host/app", "https://host/app", "ada@example.com", None),
        ("https://oauth2:to%2Fken%3A%40@host/app", "https://host/app", "oauth2", "to/ken:@"),
        ("https://ada:pass@word@host/app", "https://host/app", "ada", "pass@word"),
        ("https://ada:secret@[::1]:8443/app", "https://[::1]:8443/app", "ada", "secret"),
    ],
)
def test_a_credential_is_split_off(address: str, clean: str, username: str, password: str | None) -> None:
    found, credential = split(address)
    assert found == clean == shown(clean)
    assert credential is not None
    assert (credential.username, credential.password) == (username, password)
    assert Credential.of_line(credential.line) == credential
    assert shown(address).lower() == clean.lower()


@pytest.mark.parametrize(
    "address",
    [
        "https://host/group/app.git",
        "/srv/ada:work@home/app",
        "https://host.example/a@b.example/app.git",
        "git@host:group/app.git",
        "ssh://git@host:22/group/app.git",
        "git://host/app",
        "file:///srv/app.git",
        "file:///srv/a@b/app.git",
        "https://host/a;v=1/app.git",
        "/srv/ada@work/app",
        "../app",
        "host:app@v2/x",
    ],
)
def test_an_address_without_a_secret_stays_as_it_is(address: str) -> None:
    if address != "host:app@v2/x":  # what a password before a host looks like, too
        assert split(address) == (address, None)
        assert shown(address) == redacted(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "https://oauth2:MAR/KER@host/app.git",
        "https://MAR/KER@host.example/app.git",
        "https://oauth2:MARKER%40host/app.git",
        "https://oauth2:MARKER/app.git",
        "https://host/app.git?private_token=MARKER",
        "https://host/app.git#access_token=MARKER",
        "https://host?private_token=MARKER",
        "https://host/app.git#MARKER",
        "https://host/app.git?MARKER",
        "https://host/app.git?MARKER#x=1",
        "https://host/app.git;token=MARKER",
        "https://host/app.git;a=b;access_token=MARKER/x",
        "ssh://git@host/app.git;token=MARKER",
        "file://ada:MARKER@/app.git",
        "file://ada:MARKER@host/app.git",
        "https://ada:MARKER@/app.git",
        "https://ada:MARKER@ho st/app.git",
        "https://ada:MARKER%0a@host/app.git",
        "ssh://git:MARKER@host/app.git",
        "git://ada:MARKER@host/app.git",
        "ftp://ada:MARKER@host/app.git",
        "oauth2:MARKER@host/group/app.git",
        "ada:MARKER@host:group/app.git",
        # A slip of the keyboard makes a path, or a host for ssh, of what was meant as a URL.
        "https:/ada:MARKER@host/app.git",
        "https:/MARKER@host/app.git",
        "https//ada:MARKER@host/app.git",
        "https:\\\\ada:MARKER@host/app.git",
        "//ada:MARKER@host/app.git",
        "//MARKER@host/app.git",
        "ht tps://MARKER@host/app.git",
        "git+https://MARKER@host/app.git",
        "host:443/ada:MARKER@host/app.git",
        "git@host:ada:MARKER@host/app.git",
    ],
)
def test_what_cannot_be_split_is_refused_without_being_told(address: str) -> None:
    with pytest.raises(BadAddress) as refused:
        split(address)
    output = f"{refused.value} {refused.value.hint} {shown(address)} {redacted(f'fatal: {address!r}: no')}"
    for part in ("MARKER", "MAR/", "/KER"):
        if "://" not in address:
            output = f"{refused.value} {refused.value.hint} {shown(address)}"
        assert part not in output


@pytest.mark.parametrize("address", [f"{TOKEN}@host/app.git", f"{TOKEN}@host:group/app.git"])
def test_a_token_in_the_place_of_a_user_is_refused_without_a_scheme_too(address: str) -> None:
    assert TOKEN not in shown(address)
    with pytest.raises(BadAddress) as error:
        split(address)
    assert TOKEN not in str(error.value) + error.value.hint


def test_blanks_around_an_address_hide_nothing() -> None:
    found, credential = split(f" https://oauth2:{TOKEN}@host/app.git\n")
    assert found == "https://host/app.git"
    assert credential is not None and credential.password == TOKEN


def test_a_remedy_can_be_read_though_addresses_are_redacted() -> None:
    for address in ("https://host/app?a=b", "ada:secret@host/app"):
        with pytest.raises(BadAddress) as refused:
            split(address)
        assert "TOKEN@HOST" in redacted(refused.value.hint) or "PASSWORD@HOST" in redacted(refused.value.hint)


def test_what_git_says_is_told_without_what_stands_before_a_host() -> None:
    printed = (
        f"fatal: unable to access 'https://oauth2:{TOKEN}@host/app.git/': Could not resolve host: host\n"
        f'fatal: could not read Password for "https://{TOKEN}@host": terminal prompts disabled\n'
        f"ssh://git:{TOKEN}@host/app and ssh://git@host/app https://host/x?private_token={TOKEN}&ref=main"
    )
    output = redacted(printed)
    assert TOKEN not in output
    assert "'https://host/app.git/'" in output and "ssh://git@host/app" in output and "&ref=main" in output


def test_a_workload_gives_the_credentials_of_all_that_it_clones() -> None:
    dotfiles = Command("dotfiles", "git clone", env=(EnvVar("DOTFILES", "https://ada:2222@dots/d"),))
    workload = Workload(source=Source("https://ada:1111@host/app"), post_start=(dotfiles,))
    clean, credentials = taken_out(workload)
    assert [credential.line for credential in credentials] == [
        "https://ada:1111@host",
        "https://ada:2222@dots/d",
    ]
    output = repr((clean, credentials))
    assert "1111" not in output and "2222" not in output
    assert taken_out(clean) == (clean, ())


def test_git_gets_them_for_their_host_alone_and_asks_no_other_helper(tmp_path: Path) -> None:
    """The credentials that the user's own helpers would store."""
    config = tmp_path / "config"
    config.write_text(f"[credential]\n\thelper = store --file {tmp_path}/stolen\n")
    credentials = [
        Credential("https", "host", "ada", 'it\'s "$HOME" `id` %41\\n'),
        Credential("https", "other:8443", "bob", "two"),
        Credential("https", "third", "eve", None),
        Credential("https", "host", "cyd", "three", "group/app.git"),
    ]
    environ = {
        "PATH": "/usr/bin:/bin",
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
    }
    environ |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ada"}
    environ |= settings_for(credentials, environ)

    def git(*arguments: str, stdin: str = "") -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=tmp_path,
            env=environ,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    assert 'password=it\'s "$HOME" `id` %41\\n\n' in git(
        "credential", "fill", stdin="protocol=https\nhost=host\n\n"
    )
    assert "username=bob\npassword=two\n" in git(
        "credential", "fill", stdin="protocol=https\nhost=other:8443\n\n"
    )
    asked = "url=https://host/group/app.git\n\n"
    assert "username=cyd\npassword=three\n" in git("credential", "fill", stdin=asked)
    assert "username=ada\n" in git("credential", "fill", stdin="url=https://host/group/other.git\n\n")
    assert "two" not in git("credential", "fill", stdin="protocol=http\nhost=other:8443\n\n")
    git("credential", "approve", stdin="protocol=https\nhost=host\nusername=ada\npassword=x\n\n")
    assert not (tmp_path / "stolen").exists()
    assert git("config", "user.name") == "Ada\n"


FILL_IN_A_JOB = f"""
. {quote(str(SHELL))}/lib/common.sh
. {quote(str(SHELL))}/lib/git_settings.sh
git_setting 'credential.https://host.helper' '!f() {{ printf "username=job\\npassword=own\\n"; }}; f'
give_credentials
exec git credential fill
"""
"""Asks as Git does in a job, whose GitLab has its job token for an answer."""


@pytest.mark.parametrize("spelling", ["group/dots", "group/dots.git"])
async def test_a_credential_of_dotfiles_serves_their_repository_alone(tmp_path: Path, spelling: str) -> None:
    dotfiles = Command("dotfiles", "x", env=(EnvVar("DOTFILES", f"https://ada:2222@host/{spelling}"),))
    workload = Workload(source=Source("https://host/group/app.git"), post_start=(dotfiles,))
    kept = KeptCredentials(tmp_path)
    kept.keep("git-credentials", taken_out(workload)[1])
    credentials = kept.of("git-credentials")
    served = CredentialServer((), JobTunnel(None, GitLabSettings("https://host", "group/jobs")), kept.of)
    for path, wanted in {
        "group/dots": "2222",
        "group/dots.git": "2222",
        "group/app.git": "own",
        "group/dots-of-others.git": "own",
    }.items():
        asked = f"url=https://host/{path}\n\n"
        environ = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
        for command, more in (
            (["sh", "-c", FILL_IN_A_JOB], {"WSDASH_SCRIPTS": str(tmp_path)}),
            (["git", "-c", f"credential.helper={OWN}", "credential", "fill"], settings_for(credentials, {})),
        ):
            done = subprocess.run(
                command, env=environ | more, input=asked, capture_output=True, text=True, check=True
            )
            assert f"password={wanted}\n" in done.stdout
        answer = await served._answer("git-credentials", "https", "host", path)
        assert answer.get("password", "own") == wanted
    assert await served._answer("git-credentials", "https", "host") == {}


def test_a_credential_of_the_source_serves_its_submodules_beside_that_of_dotfiles() -> None:
    dotfiles = Command("dotfiles", "x", env=(EnvVar("DOTFILES", "https://ada:2222@host/dots"),))
    workload = Workload(source=Source("https://ada:1111@host/app"), post_start=(dotfiles,))
    lines = [one.line for one in scoped(taken_out(workload)[1])]
    assert lines == ["https://ada:1111@host", "https://ada:2222@host/dots", "https://ada:2222@host/dots.git"]


def test_credentials_that_were_kept_without_a_path_serve_their_host_as_before(tmp_path: Path) -> None:
    (tmp_path / "w1").write_text("https://ada:1111@host\nhttps://bob:2222@host/dots.git\n")
    kept = KeptCredentials(tmp_path)
    newer = Credential("https", "host", "bob", "3333", "dots.git")
    kept.keep("w1", [newer])
    assert {one.url: one.password for one in kept.of("w1")} == {
        "https://host": "1111",
        "https://host/dots": "3333",
        "https://host/dots.git": "3333",
    }


def test_kept_credentials_are_the_users_alone_and_go_with_the_workspace(tmp_path: Path) -> None:
    kept = KeptCredentials(tmp_path / "credentials")
    assert kept.of("w1") == ()
    kept.keep("w1", [Credential("https", "host", "ada", "pass:@/ word")])
    newer = [Credential("https", "host", "ada", "newer"), Credential("https", "b", "bob", None)]
    kept.keep("w1", [*newer, Credential("https", "host", "ada", "another", "dots")])
    assert kept.file("w1").stat().st_mode & 0o777 == 0o600
    assert [c.line for c in kept.of("w1")] == [
        *("https://ada:newer@host", "https://bob@b"),
        *("https://ada:another@host/dots", "https://ada:another@host/dots.git"),
    ]
    kept.drop("w1")
    kept.drop("w1")
    assert list((tmp_path / "credentials").iterdir()) == []


@given(st.from_regex(clone_address._NOTHING_TO_HIDE, fullmatch=True))
def test_an_address_that_is_told_at_a_glance_has_no_secret_and_may_be_shown(address: str) -> None:
    assert "@" not in address
    assert without_secrets(address) == address
    with suppress(BadAddress):
        assert split(address) == (address, None)


TOKEN = "glpat-abcdefghij0123456789"


@pytest.mark.parametrize(
    "address",
    [
        f"https://git.example.com/{TOKEN}/app.git",
        f"http://127.0.0.1:9/{TOKEN}@host/app.git",
        f"https://{TOKEN}.example.com/app.git",
        f"https://git.example.com/app;{TOKEN}",
        f"ssh://{TOKEN}@git.example.com/app.git",
        f"git@git.example.com:{TOKEN}/app.git",
        "https://git.example.com/ghp_0123456789abcdefghij/app.git",
        "https://me:12/34@git.example.com/app.git",
        "https://me.myself:12/34@git.example.com/app.git",
    ],
)
def test_a_token_or_password_where_git_looks_for_none_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(BadAddress) as refused:
        split(address)
    for text in (
        str(refused.value),
        refused.value.hint,
        shown(address),
        without_secrets(address),
        redacted(f"no {address}"),
    ):
        assert not any(secret in text for secret in (TOKEN, "ghp_", "12/34", "/34"))


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example.com/glow-documentation-site/gl-pipelines.git",
        "https://git.example.com:8443/team/app@v2.git",
        "http://localhost:3000/team@home/app.git",
        "git@git.example.com:github_pat_tools/app.git",
    ],
)
def test_names_that_look_a_little_like_tokens_are_names(address: str) -> None:
    assert split(address) == (address, None)
    assert without_secrets(address) == shown(address) == address


def test_a_token_in_an_error_text_is_not_shown() -> None:
    assert redacted(f"fatal: {TOKEN} is no good") == "fatal: *** is no good"


@pytest.mark.parametrize(
    "text",
    [
        "no access token for https://gitlab.example.com, and no terminal",
        "(see https://gitlab.example.com/docs). Then https://gitlab.example.com: or 'https://other.example:8443'",
        "Is unix:///var/run/docker.sock there?",
        "https://",
    ],
)
def test_an_address_in_a_sentence_is_shown_with_what_follows_it(text: str) -> None:
    assert redacted(text) == text


def test_a_secret_of_an_address_in_a_sentence_is_hidden_whatever_follows_it() -> None:
    for end in ("", ".", ", and", "). Then", ":", " more"):
        assert redacted(f"no https://ann:p,a.s:s;w)@host/app.git{end}") == f"no https://host/app.git{end}"
