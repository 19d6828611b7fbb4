"""docs/reference holds what scripts rely on: its page and schemas are compared with the code and with real output."""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest

from tests.conftest import Command
from tests.repositories import make_repository
from wsdash import cli
from wsdash.backend.job.web_editor import Editor
from wsdash.backend.operations import connect_gitlab
from wsdash.backend.providers.types import Finding
from wsdash.backend.system.environments import GITLAB_TOKENS
from wsdash.commands import console, editor
from wsdash.model import Desired

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/README.md"
SCHEMAS = ROOT / "docs/reference/schemas"
BACKEND = ROOT / "wsdash/backend"
KIND_AT = {"_event": 4, "_event_of": 2, "_new_event": 3, "JobEvent": 1, "create_workspace": 3}
"""The position of the kind in a call that writes an event."""


def table(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the page, without its first two lines."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def in_code_marks(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def closed(schema: Any) -> Any:  # noqa: ANN401
    """The schema with every object closed, so that a key that is not documented is an error."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(part) for key, part in schema.items()}
    if "required" in found and "schemaVersion" not in found["required"]:
        found["additionalProperties"] = False
    return found


def validate(verb: str, output: str) -> Any:  # noqa: ANN401
    schema = json.loads((SCHEMAS / f"{verb}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads(output)
    jsonschema.validate(document, closed(schema), jsonschema.Draft202012Validator)
    return document


def verbs_with_json(
    parser: argparse.ArgumentParser | None = None, words: tuple[str, ...] = ()
) -> Iterator[str]:
    """`list`, `context-add` ...: every verb, with its action, that takes `--json`."""
    parser = parser or cli.build_parser(cli.VERBS)
    for action in parser._actions:
        if "--json" in action.option_strings:
            yield "-".join(words)
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from verbs_with_json(below, (*words, name))


def test_every_verb_with_json_has_a_schema_and_a_line_in_the_page() -> None:
    verbs = set(verbs_with_json())
    assert {file.stem for file in SCHEMAS.glob("*.json")} == verbs
    assert {cells[0].strip("`").replace(" ", "-") for cells in table("JSON")} == verbs


def test_every_exit_code_is_in_the_page() -> None:
    codes = {
        getattr(console, name) for name in ("DONE", "FAILED", "USAGE", "NOT_FOUND", "PROVIDER", "TIMED_OUT")
    }
    assert {int(cells[0]) for cells in table("Exit codes")} == codes | {cli.INTERRUPTED, cli.PIPE_CLOSED}


def kinds_of(tree: ast.AST) -> Iterator[str]:
    """The kinds of events that a module writes: in calls, in defaults and in variables named `kind`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            place = KIND_AT.get(name)
            if place is not None and place < len(node.args):
                yield from constants(node.args[place])
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for one, value in zip(target.elts, node.value.elts, strict=True):
                        if getattr(one, "id", "") == "kind":
                            yield from constants(value)
        elif isinstance(node, ast.arguments):
            defaults = dict(
                zip([one.arg for one in node.args[-len(node.defaults) :]], node.defaults, strict=False)
            )
            if node.defaults and "kind" in defaults:
                yield from constants(defaults["kind"])


def constants(value: ast.AST) -> Iterator[str]:
    """The texts that an expression can have; `wanted-{kind}` has one for each desired state, and for a restart."""
    if isinstance(value, ast.JoinedStr):
        prefix = next(str(part.value) for part in value.values if isinstance(part, ast.Constant))
        yield from (f"{prefix}{word}" for word in (*Desired, "restart"))
    elif isinstance(value, ast.IfExp):
        yield from (*constants(value.body), *constants(value.orelse))
    elif isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
        yield value.value


def test_every_kind_of_event_is_in_the_page() -> None:
    found = {
        kind
        for room in ("store", "reconcile", "operations")
        for file in sorted((BACKEND / room).rglob("*.py"))
        for kind in kinds_of(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert {"created", "launch", "ready", "wanted-restart", "not-deleted", "autostop"} <= found, (
        "the search works"
    )
    assert {cells[0].strip("`") for cells in table("Events")} == found


def variables_read() -> set[str]:
    """Names of variables that wsdash reads from its own environment: `environ.get("NAME")`, `environ["NAME"]`."""
    found = set()
    for file in (ROOT / "wsdash").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= set(re.findall(r"environ(?:\.get)?[\[(]\s*\"([A-Z_]+)\"", text))
        found |= set(re.findall(r"_base\(environ, \"([A-Z_]+)\"", text))
    return found


def test_every_variable_that_a_user_may_set_is_in_the_page() -> None:
    listed = set().union(*(in_code_marks(cells[0] + cells[1]) for cells in table("Environment variables")))
    read = variables_read() - {"PATH", "GIT_CONFIG_COUNT", "_ARGCOMPLETE"}
    assert "WSDASH_HOME" in read, "the search works"
    assert read | set(GITLAB_TOKENS) | {"WSDASH_ISOLATION"} <= listed


DEVFILE = """\
schemaVersion: 2.2.0
components:
- name: dev
  container: {image: 'debian:13', endpoints: [{name: web, targetPort: 8080}], memoryLimit: 1000MB}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "demo", devfile=DEVFILE.replace(", memoryLimit: 1000MB", ""))


def test_workspaces_as_json(wsdash: Command, repository: Path, tmp_path: Path) -> None:
    """A workspace from its creation to its deletion; each verb's output is valid by its schema."""

    def run(verb: str, *arguments: str) -> Any:  # noqa: ANN401
        done = wsdash(*verb.split("-"), *arguments, "--json")
        assert done.returncode in (0, 1), done.stderr
        return validate(verb, done.stdout)

    assert run("create", str(repository), "--name", "web", "--yes", "--wait")["phase"] == "running"
    assert [row["name"] for row in run("list")] == ["web"]
    shown = run("show", "web")
    documented = {cells[0].strip("`") for cells in table("Events")}
    assert {event["kind"] for event in shown["events"]} <= documented
    assert shown["attempts"], "an attempt is among what is validated"
    assert run("events", "web")
    assert run("why", "web")["evidence"]
    assert [step["step"] for step in run("plan")] == ["wait"]
    assert [port["port"] for port in run("ports", "web")] == [8080]
    if shutil.which("tmux") is not None:
        assert wsdash("session", "web", "start", "--name", "s", "--", "cat").returncode == 0
        for action in (("list",), ("why", "s")):
            assert validate(f"session-{action[0]}", wsdash("session", "web", *action, "--json").stdout)
    assert run("doctor")
    assert run("context-list")
    assert run("recover", "--yes")[0]["present"] == 1
    assert wsdash("export", "web", str(tmp_path / "web.tar")).returncode == 0
    assert run("import", str(tmp_path / "web.tar"), "--name", "copy")["desired"] == "stopped"
    assert wsdash("delete", "web", "copy", "--yes", "--wait").returncode == 0
    ended = run("show", "web") if not wsdash("show", "web", "--json").returncode else None
    assert ended is None or ended["phase"] == "deleted"
    assert {row["phase"] for row in run("list", "--all")} == {"deleted"}
    wsdash("daemon", "--stop")


def test_devfiles_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "devfile.yaml"
    file.write_text(DEVFILE)
    assert cli.main(["devfile", "check", str(file), "--json"]) == 1
    [verdict] = validate("devfile-check", capsys.readouterr().out)
    assert verdict["verdict"] == "reject"
    assert verdict["diagnostics"], "a diagnostic is among what is validated"
    file.write_text(DEVFILE.replace("1000MB", "1000M"))
    assert cli.main(["devfile", "flatten", str(file), "--json"]) == 0
    validate("devfile-flatten", capsys.readouterr().out)


@pytest.mark.parametrize("kind", ["vscode", "code-server"])
def test_editor_as_json(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    editor._explain("web", Editor(kind, "token", "/job/socket"), "/run/socket", json=True)
    validate("open", capsys.readouterr().out)


@pytest.mark.parametrize("level", ["ok", "warning", "blocked"])
def test_context_add_as_json(
    level: Literal["ok", "warning", "blocked"],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """GitLab's answers are given here; tests/backend/providers/gitlab/test_preflight.py asks a server."""

    async def check(*_: object) -> list[Finding]:
        return [Finding(level, "the project has no runner", "Register one.")]

    monkeypatch.setattr(connect_gitlab, "check", check)
    monkeypatch.setenv("WSDASH_GITLAB_TOKEN", "glpat-given")
    cli.main(
        [
            "context",
            "add",
            "work",
            "--url",
            "https://gitlab.example.com",
            "--project",
            "group/app",
            "--yes",
            "--json",
        ]
    )
    assert validate("context-add", capsys.readouterr().out)["added"] is (level != "blocked")


def test_a_schema_refuses_what_is_not_documented() -> None:
    """The check can fail: a key too many, a key too few, and a phase that does not exist."""
    good = {"name": "web", "phase": "running", "sentence": "web is running.", "evidence": []}
    validate("why", json.dumps(good))
    for bad in ({**good, "more": 1}, {"name": "web"}, {**good, "phase": "sleeping"}):
        with pytest.raises(jsonschema.ValidationError):
            validate("why", json.dumps(bad))
