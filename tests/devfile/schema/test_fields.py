"""The models' fields as tables."""

from __future__ import annotations

from tests.devfile.examples import codes, devfile, places, remarks
from wsdash.devfile.schema.fields import fields_of, model_at
from wsdash.devfile.schema.models import Devfile


def test_fields_of_a_newer_schema_are_read_with_a_warning() -> None:
    text = devfile(
        "dependentProjects: [{name: a, git: {remotes: {o: u}}}]\n", container="cpuLimit: '1'", version="2.0.0"
    )
    assert [(d.line, d.severity, d.code, d.hint) for d in remarks(text)] == [
        (6, "warning", "schema.newer-field", "write schemaVersion: 2.1.0"),
        (7, "warning", "schema.newer-field", "write schemaVersion: 2.2.2"),
    ]


def test_the_kind_deploy_came_with_2_2_0() -> None:
    commands = "commands: [{id: a, apply: {component: dev, group: {kind: deploy}}}]\n"
    assert places(devfile(commands, version="2.1.0")) == [(6, 58, "schema.newer-field")]
    assert codes(devfile(commands)) == []


def test_the_tables_know_the_models() -> None:
    assert fields_of(Devfile)["starterProjects"].attribute == "starter_projects"
    container = model_at(("components", 0, "container"))
    assert container is not None and fields_of(container)["memoryRequest"].since == "2.1.0"
    assert model_at(("components", 0, "attributes", "x")) is None
