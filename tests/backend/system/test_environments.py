"""The environment of wsdash's own processes: enough to work, and no secret that /proc would show."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from wsdash.backend.system.environments import (
    GITLAB_TOKENS,
    GIVEN,
    basic,
    for_git,
    is_secret,
    packed,
    tokens,
    unpacked,
)

ENVIRON = {
    "PATH": "/bin",
    "HOME": "/home/ada",
    "LC_ALL": "C.UTF-8",
    "WSDASH_HOME": "/srv/wsdash",
    "XDG_STATE_HOME": "/home/ada/state",
    "GITLAB_HOST": "gitlab.example.com",
    "https_proxy": "http://proxy:8080",
    "SSH_AUTH_SOCK": "/run/agent",
    "GIT_SSL_CAINFO": "/etc/ca.pem",
    "EDITOR": "vi",
    "WSDASH_GITLAB_TOKEN": "glpat-1",
    "GITLAB_TOKEN": "glpat-2",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


def test_a_process_that_stays_gets_what_it_needs_to_run_and_no_secret() -> None:
    assert basic(ENVIRON).keys() == {
        "PATH", "HOME", "LC_ALL", "WSDASH_HOME", "XDG_STATE_HOME", "GITLAB_HOST",
    }  # fmt: skip


def test_git_gets_what_it_needs_to_reach_a_host_too() -> None:
    given = for_git(ENVIRON)
    assert given.items() >= basic(ENVIRON).items()
    assert given.keys() >= {"https_proxy", "SSH_AUTH_SOCK", "GIT_SSL_CAINFO"}
    assert not given.keys() & {"EDITOR", "AWS_SECRET_ACCESS_KEY", "WSDASH_GITLAB_TOKEN", "GITLAB_TOKEN"}


@pytest.mark.parametrize(
    "name",
    [
        *GITLAB_TOKENS, "GITHUB_TOKEN", "GIT_TOKEN", "SSH_PRIVATE_KEY", "DOCKER_PASSWORD", "CONTAINER_SECRET",
    ],
)  # fmt: skip
def test_who_is_given_no_tokens_gets_none_whatever_program_they_are_for(name: str) -> None:
    assert name not in unpacked(packed({**ENVIRON, name: "x"}, with_tokens=False))


@pytest.mark.parametrize(
    "name", ["GIT_ASKPASS", "SSH_ASKPASS", "GCM_CREDENTIAL_STORE", "GIT_CONFIG_VALUE_0", "DOCKER_HOST"]
)
def test_settings_of_git_and_its_helpers_are_given(name: str) -> None:
    assert for_git({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "name", ["WSDASH_GITLAB_TOKEN", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "WSDASH_GIT_0"]
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)
    assert basic({name: "x"}) == {}


@pytest.mark.parametrize("name", ["PATH", "HOME", "GIT_DIR"])
def test_an_ordinary_name_is_no_secret(name: str) -> None:
    assert not is_secret(name)


def test_tokens_are_given_through_a_pipe_where_they_are_wanted() -> None:
    assert tokens(ENVIRON) == {"WSDASH_GITLAB_TOKEN": "glpat-1", "GITLAB_TOKEN": "glpat-2"}
    assert unpacked(packed(ENVIRON, with_tokens=True)) == for_git(ENVIRON) | tokens(ENVIRON)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_any_other_text_gives_nothing(data: bytes) -> None:
    assert unpacked(data) == {}


def test_a_process_keeps_the_tokens_it_is_given_in_its_memory_alone() -> None:
    script = (
        "import json, os, sys; from wsdash.backend.system import environments as e;"
        "print(json.dumps([e.receive(), e.received, dict(os.environ), sys.stdin.read()]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input=packed(ENVIRON, with_tokens=True),
        env={**basic(ENVIRON), GIVEN: "stdin"},
        stdout=subprocess.PIPE,
        check=True,
    )
    was_given, received, environ, left_on_stdin = json.loads(ran.stdout)
    assert was_given and received == tokens(ENVIRON)
    assert environ["https_proxy"] == "http://proxy:8080"
    assert not {GIVEN, *received} & environ.keys()
    assert left_on_stdin == ""
