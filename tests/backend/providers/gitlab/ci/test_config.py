"""The configuration of a workspace: valid for GitLab, readable, without secrets, and exact in what runs."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.gitlab_server import ci_config
from tests.gitlab_server.ci_config import schema
from wsdash.backend.job.render import render as render_data
from wsdash.backend.providers.gitlab.ci.config import (
    JOB,
    Identity,
    NotRenderable,
    Options,
    render,
)
from wsdash.backend.providers.gitlab.ci.pipeline_name import parse
from wsdash.backend.providers.gitlab.ci.record import Volume
from wsdash.backend.providers.gitlab.ci.removal_config import REMOVAL, removal_name, render_removal
from wsdash.devfile import default_document, load, translate
from wsdash.workload import Command, EnvVar, Secret, Sequential, Service, Workload

FULL = """\
schemaVersion: 2.2.0
attributes: {controller.devfile.io/x: y}
components:
- name: main
  container:
    image: alpine
    memoryLimit: 2Gi
    cpuRequest: 500m
    env: [{name: ODD, value: "a $HOME"}]
    volumeMounts: [{name: cache, path: /cache}]
    endpoints: [{name: web, targetPort: 8080}]
- name: db
  container: {image: 'postgres:17', command: [postgres], args: ['-c', 'fsync=off'], dedicatedPod: true}
- name: cache
  volume: {size: 1Gi}
commands:
- {id: one, exec: {component: main, commandLine: 'echo "$ODD"', workingDir: '${PROJECT_SOURCE}'}}
- {id: two, exec: {component: main, commandLine: sleep 1}}
- {id: both, composite: {commands: [one, two], parallel: true}}
events: {postStart: [both]}
"""
ME = Identity("w1", "demo", "a1.1.1")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def job_of(workload: Workload, options: Options = Options(), identity: Identity = ME) -> dict[str, object]:  # noqa: B008
    *_, body = yaml.safe_load_all(render(workload, identity, options).text)
    job: dict[str, object] = body[JOB]
    return job


@pytest.mark.parametrize("devfile", [FULL, None])
@pytest.mark.parametrize("by_input", [False, True])
def test_it_is_valid_by_gitlabs_own_schema(devfile: str | None, by_input: bool) -> None:
    document = default_document() if devfile is None else load(devfile.encode(), file="devfile.yaml")
    workload = translate(document).workload
    options = Options(tags=("shared",), image="alpine", injector_image="example.com/tools:1")
    for part in yaml.safe_load_all(render(workload, ME, options, may_take_inputs=by_input).text):
        assert list(schema().iter_errors(part)) == []


ODD = [
    "yes",
    "yEs",
    "Off",
    "null",
    "~",
    "1,000",
    "0:30",
    ":x",
    "1_0",
    "0o17",
    "1e5",
    "0e123456",
    "12",
    ".5",
    "=",
    "",
]


@pytest.mark.parametrize("value", ODD)
def test_a_value_is_a_text_whatever_a_reader_of_yaml_would_take_it_for(value: str) -> None:
    text = render(Workload(env=(EnvVar("ODD", value),)), ME, Options()).text
    events = list(yaml.parse(text))
    place = next(i for i, e in enumerate(events) if isinstance(e, yaml.ScalarEvent) and e.value == "ODD")
    found = events[place + 3]
    assert isinstance(found, yaml.ScalarEvent)
    assert (found.value, found.style) == (value, "'")


@pytest.mark.parametrize("value", ODD)
def test_so_is_an_input_which_gitlab_puts_in_before_it_reads(value: str) -> None:
    text = render(Workload(), ME, Options(owner=value), may_take_inputs=True).text
    inputs = {"attempt": value, "restores": "yes", "owner": value}
    (job,) = ci_config.read(text, inputs, "api").jobs.values()
    found = [job["variables"][f"WSDASH_{name}"] for name in ("ATTEMPT", "RESTORE_FROM", "OWNER")]
    assert found == [value, "yes", value]


@pytest.mark.parametrize("user", ["vscode", "1000", "1000:1000", None])
def test_a_dev_container_with_a_user_and_services_is_valid_too(user: str | None) -> None:
    workload = Workload(
        image="debian:13",
        user=user,
        env=(EnvVar("PATH_TO", "${PROJECT_SOURCE}/bin", ("PROJECT_SOURCE",)),),
        post_start=(Sequential("lifecycle", (Command("a", "true", once=True), Command("b", "true")), True),),
        ready_after="a",
        services=(Service("db", "postgres:17"),),
        secrets=(Secret("TOKEN", "what it's for"),),
    )
    document = yaml.safe_load(render(workload, ME, Options()).text)
    assert list(schema().iter_errors(document)) == []
    assert document[JOB]["image"].get("docker", {}).get("user") == user
    assert document[JOB]["image"].get("kubernetes", {}).get("user") == (None if user == "vscode" else user)
    assert "PATH_TO" not in document[JOB]["variables"]


def test_gitlab_makes_one_job_of_it_that_nothing_else_touches() -> None:
    document = yaml.safe_load(render(Workload(image="alpine"), ME, Options(tags=("big",))).text)
    assert document["workflow"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "api"'}]
    assert document["workflow"]["auto_cancel"] == {"on_new_commit": "none"}
    assert document["workflow"]["name"].startswith("wsdash/w1 a1.1.1 0 queued 0 config=")
    job = document[JOB]
    assert job["inherit"] == {"default": False, "variables": False}
    assert (job["resource_group"], job["retry"], job["interruptible"], job["tags"]) == (
        "wsdash-w1",
        0,
        False,
        ["big"],
    )
    assert job["image"] == {"name": "alpine", "entrypoint": [""]}
    (cache,) = job["cache"]
    assert (cache["key"], cache["when"], cache["unprotect"]) == ("wsdash-w1", "always", True)
    assert all(path.startswith(".wsdash/w1/") for path in cache["paths"])


def test_on_a_volume_nothing_is_cached_and_the_runner_is_the_one_that_has_it() -> None:
    options = Options(tags=("other",), volume=Volume("/wsdash", ("big", "disk")))
    document = yaml.safe_load(render(Workload(image="alpine"), ME, options).text)
    assert list(schema().iter_errors(document)) == []
    job = document[JOB]
    assert (job["cache"], job["tags"]) == ([], ["big", "disk"])
    assert job["variables"]["WSDASH_VOLUME"] == "/wsdash"


def test_the_job_that_removes_a_folder_runs_as_the_workspace_did_where_it_did_and_after_it() -> None:
    workload = Workload(image="alpine", user="1000")
    text = render_removal("w1", workload, None, Volume("/wsdash", ("big",)))
    document = yaml.safe_load(text)
    assert list(schema().iter_errors(document)) == []
    assert document["workflow"]["name"] == removal_name("w1")
    assert parse(removal_name("w1")) is None
    job = document[REMOVAL]
    own = yaml.safe_load(render(workload, ME, Options(volume=Volume("/wsdash", ("big",)))).text)[JOB]
    for key in ("image", "tags", "resource_group"):
        assert job[key] == own[key]
    assert (
        yaml.safe_load(render_removal("w1", Workload(), "debian", Volume("/v", ("t",))))[REMOVAL]["image"][
            "name"
        ]
        == "debian"
    )


def test_services_and_the_editor_stand_beside_the_job() -> None:
    database = Service("db", "postgres:17", env=(EnvVar("PASSWORD", "a$b"),), health_port=5432)
    job = job_of(
        Workload(image="alpine", services=(database,)), Options(injector_image="example.com/tools:1")
    )
    services = job["services"]
    assert isinstance(services, list)
    first, injector = services
    assert first["variables"] == {
        "PASSWORD": {"value": "a$b", "expand": False},
        "HEALTHCHECK_TCP_PORT": "5432",
    }
    assert injector["name"] == "example.com/tools:1" and "complete" in injector["command"][0]


def test_values_are_never_expanded_and_none_changes_the_runner() -> None:
    env = (EnvVar("ODD", "$HOME `id`"), EnvVar("PATH", "/evil"), EnvVar("CI_DEBUG_TRACE", "true"))
    variables = job_of(Workload(env=env))["variables"]
    assert isinstance(variables, dict)
    assert variables["ODD"] == {"value": "$HOME `id`", "expand": False}
    assert "PATH" not in variables and "CI_DEBUG_TRACE" not in variables


def test_a_value_that_no_process_can_be_given_is_refused_by_its_name() -> None:
    with pytest.raises(NotRenderable, match="BIG takes 1310"):
        render(Workload(env=(EnvVar("BIG", "x" * 131_070),)), ME, Options())


def test_a_text_that_gitlab_would_replace_takes_no_inputs() -> None:
    workload = Workload(post_start=(Command("one", "echo '$[[ inputs.attempt ]]'"),))
    found = render(workload, ME, Options(), may_take_inputs=True)
    assert (found.takes_inputs, found.inputs) == (False, {})
    (document,) = yaml.safe_load_all(found.text)
    assert document[JOB]["variables"]["WSDASH_ATTEMPT"] == ME.attempt_key


def test_another_attempt_changes_the_inputs_alone() -> None:
    one, two = (
        render(Workload(), replace(ME, attempt_key=key), Options(owner="me"), may_take_inputs=True)
        for key in ("a1.1.1", "a2.2.1")
    )
    assert one.text == two.text
    assert one.inputs == {"attempt": "a1.1.1", "restores": "no", "checkpoint": "none", "owner": "me"}
    assert two.inputs == {**one.inputs, "attempt": "a2.2.1"}


def test_the_digest_changes_with_the_workload_and_the_record_and_with_no_attempt() -> None:
    workload = Workload(image="alpine")
    digest = render(workload, ME, Options(), may_take_inputs=True).digest
    assert render(workload, ME, Options()).digest == digest
    assert render(workload, replace(ME, attempt_key="a2.2.1"), Options()).digest == digest
    assert render(replace(workload, image="debian"), ME, Options()).digest != digest
    assert render(workload, ME, Options(record="another")).digest != digest


@given(texts, texts)
def test_whatever_a_text_holds_the_job_gets_exactly_that(value: str, line: str) -> None:
    workload = Workload(env=(EnvVar("VALUE", value),), post_start=(Command("one", line),), source=None)
    job = job_of(workload)
    assert isinstance(job["script"], list)
    (written,) = [
        item
        for item in job["script"]
        if item.startswith('cat >"$CI_PROJECT_DIR/.wsdash/$WSDASH_WORKSPACE/run/job/workload.sh"')
    ]
    first, _, rest = written.partition("\n")
    end = first.partition("<<'")[2].rstrip("'")
    assert rest == render_data(workload) + end
    assert end not in render_data(workload)


def test_the_shell_writes_the_files_as_they_are(tmp_path: Path) -> None:
    workload = Workload(env=(EnvVar("VALUE", "end of workload.sh\n$(id) \\ '\" é🙂"),))
    job = job_of(workload)
    assert isinstance(job["script"], list)
    subprocess.run(
        ["sh", "-e"],
        input="\n".join(job["script"][:-1]).encode(),
        env={"CI_PROJECT_DIR": str(tmp_path), "WSDASH_WORKSPACE": "w1", "PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert (tmp_path / ".wsdash/w1/run/job/workload.sh").read_text() == render_data(workload)
