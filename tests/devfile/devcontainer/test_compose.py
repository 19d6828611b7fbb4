"""A compose file: one service is the workspace, the others are containers beside it."""

from __future__ import annotations

import pytest

from tests.devfile.devcontainer.examples import codes, env, reported_by, translated
from wsdash.devfile import Translation
from wsdash.devfile.devcontainer import load_devcontainer, missing_files
from wsdash.workload import EnvVar, Service, Volume

FILE = ".devcontainer/docker-compose.yml"
PROPERTIES = {"dockerComposeFile": "docker-compose.yml", "service": "app"}


def composed(text: str, more: dict[str, object] | None = None, **files: str) -> Translation:
    named = {f".devcontainer/{name}": content for name, content in files.items()}
    return translated({**PROPERTIES, **(more or {})}, {FILE: text, **named})


DATABASE = """
services:
  app:
    image: registry.example/python:3.12
    command: sleep infinity
    environment: {MODE: dev, COUNT: 3}
    volumes: ["..:/workspaces:cached", "venv:/venv"]
    depends_on: [db]
  db:
    image: postgres:${PG:-16}
    restart: unless-stopped
    environment:
      - POSTGRES_PASSWORD=pass$$word
    ports: ["5432:5432"]
    volumes: [data:/var/lib/postgresql/data]
volumes: {venv: , data: }
"""


def test_the_service_is_the_workspace_and_the_others_stand_beside_it() -> None:
    found = composed(DATABASE)
    assert found.usable
    assert found.workload.image == "registry.example/python:3.12"
    assert env(found) == {"MODE": "dev", "COUNT": "3"}
    assert found.workload.entrypoint == ()
    assert found.workload.volumes == (Volume("venv", "/venv"),)
    assert found.workload.services == (
        Service("db", "postgres:16", env=(EnvVar("POSTGRES_PASSWORD", "pass$word"),), health_port=5432),
    )
    assert codes(found) == {"compose.mount"}
    (remark,) = found.diagnostics
    assert (remark.file, remark.line) == (FILE, 15)


@pytest.mark.parametrize(
    ("service", "code", "usable"),
    [
        ("build: .", "devcontainer.build", False),
        ("build: .\n    image: registry.example/app:1", "compose.build", True),
        ("hostname: x", "devcontainer.no-image", False),
        ("image: a\n    network_mode: service:db", "compose.network", True),
        ("image: a\n    deploy: {replicas: 2}", "compose.ignored", True),
        ("image: a\n    volumes: ['/home/me:/me']", "compose.mount", True),
        ("image: a:${NONE}", "compose.variable", True),
        ("image: a\n    env_file: missing.env", "compose.environment", True),
        ("image: a\n    environment: [HOME]", "devcontainer.variable", True),
    ],
)
def test_what_a_service_asks_for_and_does_not_get_is_reported(service: str, code: str, usable: bool) -> None:
    found = composed(f"services:\n  app:\n    {service}\n")
    assert code in codes(found), reported_by(found)
    assert found.usable is usable


@pytest.mark.parametrize(
    ("properties", "text", "code"),
    [
        (PROPERTIES, None, "compose.missing"),
        (
            {**PROPERTIES, "dockerComposeFile": "../../outside.yml"},
            "services: {app: {image: a}}",
            "compose.service",
        ),
        (PROPERTIES, "services: {other: {image: a}}", "compose.service"),
        (PROPERTIES, "hello: world", "compose.invalid"),
        (PROPERTIES, "services: {app: [", "yaml.syntax"),
        ({"dockerComposeFile": "docker-compose.yml"}, "services: {app: {image: a}}", "compose.service"),
    ],
)
def test_a_compose_file_that_cannot_be_used_is_an_error_with_its_place(
    properties: dict[str, object], text: str | None, code: str
) -> None:
    found = translated(properties, {} if text is None else {FILE: text})
    assert not found.usable
    assert code in codes(found), reported_by(found)


def test_several_files_are_merged_and_the_environment_is_filled_in() -> None:
    found = translated(
        {"dockerComposeFile": ["../compose.yml", "compose.dev.yml"], "service": "app"},
        {
            "compose.yml": "services: {app: {image: 'app:${TAG}', environment: {A: 1, B: 2}, env_file: [vars.env]}}",
            ".devcontainer/compose.dev.yml": "services: {app: {environment: [B=3], command: [npm, start]}}",
            ".env": "TAG='7'  # the release\nUNUSED=1\n",
            "vars.env": "C=4\nA=0\n",
        },
    )
    assert found.workload.image == "app:7"
    assert env(found) == {"C": "4", "A": "1", "B": "3"}
    assert found.workload.entrypoint == ("npm", "start")
    assert reported_by(found) == ""


def test_files_are_asked_for_as_they_become_known_and_never_outside_of_the_repository() -> None:
    document = load_devcontainer(
        '{"dockerComposeFile": ["c.yml", "/etc/passwd", "../../x.yml"], "service": "a"}'
    )
    first = missing_files(document, {})
    assert first == [".devcontainer/c.yml", ".devcontainer/.env"]
    compose = b"services: {a: {image: i, env_file: [a.env, ../../up.env, {path: b.env}]}}"
    have = {".devcontainer/c.yml": compose, ".devcontainer/.env": None}
    assert missing_files(document, have) == [".devcontainer/a.env", ".devcontainer/b.env"]
