"""`runArgs`: variables and the user are honoured, all else is reported or of no consequence."""

from __future__ import annotations

import json

import pytest

from wsdash.devfile.devcontainer.report import Report
from wsdash.devfile.devcontainer.run_arguments import RunArguments, run_arguments
from wsdash.devfile.parse.json_reader import read_json
from wsdash.devfile.parse.tree import Object


def parsed(*words: object) -> tuple[RunArguments, list[str]]:
    tree, _ = read_json(json.dumps({"runArgs": words}))
    report = Report(tree)
    assert isinstance(tree.root, Object)
    return run_arguments(tree.root, report), [found.code for found in report.diagnostics]


@pytest.mark.parametrize("words", [("-eA=1=2",), ("-e", "A=1=2"), ("--env=A=1=2",), ("--env", "A=1=2")])
def test_a_variable_may_be_written_as_docker_takes_it(words: tuple[str, ...]) -> None:
    found, codes = parsed(*words)
    assert [(name, value) for _, name, value in found.env] == [("A", "1=2")]
    assert codes == []


def test_a_variable_without_a_value_is_the_users_own_and_has_none() -> None:
    [(path, name, value)] = parsed("--rm", "-e", "TOKEN")[0].env
    assert (path[0], name, value) == ("runArgs", "TOKEN", None)


def test_the_last_user_counts() -> None:
    assert parsed("-u", "root", "--user=vscode")[0].user == "vscode"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--privileged",), "devcontainer.privilege"),
        (("--cap-add", "SYS_PTRACE"), "devcontainer.privilege"),
        (("-v", "/var/run/docker.sock:/var/run/docker.sock"), "devcontainer.mount"),
        (("--memory=8g",), "devcontainer.run-argument"),
        ((7,), "devcontainer.type"),
    ],
)
def test_an_argument_that_is_not_given_is_reported_once(words: tuple[object, ...], code: str) -> None:
    assert parsed(*words) == (RunArguments(), [code])


def test_an_argument_of_the_users_terminal_says_nothing_and_its_value_is_no_argument() -> None:
    assert parsed("--name", "--privileged", "-it", "--rm") == (RunArguments(), [])
