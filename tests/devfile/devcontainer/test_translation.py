"""Each property of a Dev Container is in the job, or reported with the reason and a remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.devfile.devcontainer.examples import codes, reported_by, translated
from wsdash.backend.job.render import render
from wsdash.devfile import DevfileError
from wsdash.devfile.devcontainer import is_devcontainer, load_devcontainer
from wsdash.devfile.devcontainer.translation import PROPERTIES

IMAGE = {"image": "debian:13"}


def test_comments_and_trailing_commas_are_taken_and_places_stay_right() -> None:
    text = """// the project's container
{
  /* what it
     is made from */
  "image": "debian:13", // bookworm's successor
  "privileged": true,
}
"""
    found = translated(text)
    assert found.usable
    assert found.workload.image == "debian:13"
    (remark,) = found.diagnostics
    assert (remark.code, remark.line, remark.column) == ("devcontainer.privilege", 6, 3)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"image": }', "schemaVersion: 2.2.0", '{"image": "a" "b"}'])
def test_what_is_no_such_json_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(DevfileError) as caught:
        load_devcontainer(text)
    assert caught.value.diagnostics[0].line == 1


@pytest.mark.parametrize(
    ("file", "is_one"),
    [
        (".devcontainer/devcontainer.json", True),
        (".devcontainer.json", True),
        ("/srv/app/.devcontainer/web/devcontainer.json", True),
        ("corpus/group__app__.devcontainer_devcontainer.json", True),
        ("devfile.yaml", False),
        ("devfile.json", False),
    ],
)
def test_a_dev_container_is_known_by_its_name(file: str, is_one: bool) -> None:
    assert is_devcontainer(file) is is_one


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({}, "devcontainer.no-image"),
        ({"build": {"dockerfile": "Dockerfile"}}, "devcontainer.build"),
        ({"dockerFile": "Dockerfile"}, "devcontainer.build"),
        ({"image": "${templateOption:imageVariant}"}, "devcontainer.template"),
        ({"image": 3}, "devcontainer.no-image"),
    ],
)
def test_without_an_image_there_is_no_job_and_the_remedy_is_named(
    properties: dict[str, Any], code: str
) -> None:
    found = translated(properties)
    assert not found.usable
    assert code in codes(found)
    assert all(d.hint for d in found.diagnostics if d.severity == "error")


def test_an_image_that_was_built_before_stands_in_for_the_build() -> None:
    found = translated({"build": {"dockerfile": "Dockerfile"}}, image="registry.example/dev:1")
    assert found.usable
    assert found.workload.image == "registry.example/dev:1"


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"features": {"ghcr.io/devcontainers/features/go:1": {}}}, "devcontainer.features"),
        ({"initializeCommand": "docker login"}, "devcontainer.host-command"),
        ({"postAttachCommand": ["echo", "hi"]}, "devcontainer.attach-command"),
        ({"privileged": True}, "devcontainer.privilege"),
        ({"capAdd": ["SYS_PTRACE"]}, "devcontainer.privilege"),
        ({"init": True}, "devcontainer.privilege"),
        ({"runArgs": ["--cap-add=SYS_PTRACE"]}, "devcontainer.privilege"),
        ({"runArgs": ["--network", "host"]}, "devcontainer.run-argument"),
        ({"runArgs": ["-v", "/srv:/srv"]}, "devcontainer.mount"),
        ({"mounts": ["source=/home/me,target=/me,type=bind"]}, "devcontainer.mount"),
        ({"mounts": [{"type": "tmpfs", "target": "/tmp/x"}]}, "devcontainer.mount"),
        ({"hostRequirements": {"gpu": True}}, "devcontainer.requirement"),
        ({"hostRequirements": {"storage": "64gb"}}, "devcontainer.requirement"),
        ({"forwardPorts": ["db:5432"]}, "devcontainer.port"),
        ({"workspaceFolder": "/work"}, "devcontainer.folder"),
        ({"customizations": {"vscode": {"extensions": ["a.b"]}}}, "devcontainer.editor"),
        ({"extensions": ["a.b"]}, "devcontainer.editor"),
        ({"overrideCommand": False}, "entrypoint.unknown"),
        ({"image": "mcr.microsoft.com/devcontainers/go:1"}, "devcontainer.user"),
        ({"build": {"dockerfile": "D"}}, "devcontainer.ignored"),
        ({"contaienrEnv": {}}, "devcontainer.unknown"),
        ({"containerEnv": {"A": "${localEnv:HOME}"}}, "devcontainer.variable"),
        ({"runArgs": ["-e", "TOKEN"]}, "devcontainer.variable"),
        ({"containerEnv": {"a b": "1"}}, "env.name"),
        ({"containerEnv": {"A": ["x"]}}, "devcontainer.type"),
        ({"forwardPorts": [0, "70000", True]}, "devcontainer.type"),
        ({"postCreateCommand": 7}, "devcontainer.type"),
        ({"waitFor": "never"}, "devcontainer.type"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_what_a_job_cannot_have_is_reported_and_the_rest_runs(properties: dict[str, Any], code: str) -> None:
    found = translated({**IMAGE, **properties})
    assert code in codes(found)
    assert found.usable


@pytest.mark.parametrize(
    "properties",
    [
        {"name": "demo", "$schema": "x", "shutdownAction": "none", "overrideCommand": True},
        {"containerEnv": {"A": "1"}, "remoteEnv": {"B": "2"}, "remoteUser": "vscode"},
        {
            "forwardPorts": [3000],
            "portsAttributes": {"3000": {"label": "web"}},
            "hostRequirements": {"cpus": 2},
        },
        {"postCreateCommand": "npm ci", "waitFor": "postCreateCommand"},
        {"runArgs": ["--name", "x", "-e", "A=1", "--rm"]},
    ],
    ids=json.dumps,
)
def test_what_a_job_can_have_is_not_remarked_on(properties: dict[str, Any]) -> None:
    assert reported_by(translated({**IMAGE, **properties})) == ""


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 99999)
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "${localEnv:A}",
            "${containerEnv:PATH}",
            "${containerWorkspaceFolder}",
            "a\0b",
            "x=y",
            "source=a,target=/b",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
properties = st.dictionaries(
    st.sampled_from(sorted(PROPERTIES)),
    values,
)


@given(properties)
def test_no_document_breaks_the_translation_and_what_is_usable_can_be_rendered(
    document: dict[str, Any],
) -> None:
    found = translated(document)
    assert all(d.line >= 1 and "\n" not in d.message + d.hint for d in found.diagnostics)
    if found.usable:
        render(found.workload)
