"""A config.toml that is wrong is named by every verb, once; who needs none of its settings is not kept out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pytest

from tests.cli.conftest import Command
from wsdash.model import Workspace
from wsdash.paths import Paths

BROKEN: dict[str, tuple[str | bytes, str]] = {
    "an unknown key": (
        "[policy]\ngrace = 3\n",
        "line 2: policy.grace is no setting of wsdash. It takes grace_s.",
    ),
    "no TOML": ("[policy\n", "config.toml: Expected ']' at the end of a table declaration (at line 1"),
    "no UTF-8": (b"\xff\xfe", "is not UTF-8"),
}


@pytest.fixture(params=BROKEN)
def said(request: pytest.FixtureRequest, paths: Paths) -> str:
    text, said = BROKEN[request.param]
    paths.config.mkdir(parents=True)
    paths.config_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return said


@pytest.mark.parametrize(
    "verb", [("list",), ("plan",), ("list", "--json"), ("daemon", "--status"), ("recover",)]
)
def test_it_is_told_once(wsdash: Command, said: str, verb: tuple[str, ...]) -> None:
    done = wsdash(*verb)
    assert done.stderr.count(said) == 1, done.stderr


def test_reading_verbs_answer_all_the_same(
    wsdash: Command, said: str, store_with: Callable[[Iterable[Workspace]], None]
) -> None:
    done = wsdash("list", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == []


def test_doctor_says_it_as_a_finding(wsdash: Command, said: str) -> None:
    done = wsdash("doctor")
    assert said in done.stdout
    assert said not in done.stderr
    assert done.returncode == 1
