"""Commands of a devfile's events become steps of a job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.devfile.examples import column_of, devfile, translated, unsupported_parts
from wsdash.devfile import load, translate
from wsdash.devfile.translation.steps import working_dir
from wsdash.workload import (
    Command,
    EnvVar,
    Parallel,
    Sequential,
    Step,
)

DB = "- {name: db, container: {image: postgres, mountSources: false}}"


def exec_command(name: str, more: str = "", component: str = "dev") -> str:
    return f"- {{id: {name}, exec: {{component: {component}, commandLine: do {name}{more}}}}}\n"


def steps(commands: str, event: str = "postStart", names: str = "[c]") -> tuple[Step, ...]:
    workload = translated(devfile(f"commands:\n{commands}events: {{{event}: {names}}}\n")).workload
    return {"preStart": workload.pre_start, "postStart": workload.post_start, "preStop": workload.pre_stop}[
        event
    ]


class TestSteps:
    def test_a_composite_is_a_sequence_and_a_parallel_one_runs_at_once(self) -> None:
        commands = (
            exec_command("a")
            + exec_command("b")
            + "- {id: p, composite: {commands: [a, B], parallel: true}}\n"
            + "- {id: c, composite: {commands: [a, p]}}\n"
        )
        a, b = Command("a", "do a"), Command("b", "do b")
        assert steps(commands) == (Sequential("c", (a, Parallel("p", (a, b)))),)

    def test_a_cycle_ends_where_it_closes(self) -> None:
        commands = (
            exec_command("a")
            + "- {id: c, composite: {commands: [a, d]}}\n- {id: d, composite: {commands: [c]}}\n"
        )
        text = devfile(f"commands:\n{commands}events: {{postStart: [c]}}\n")
        translation = translated(text)
        assert translation.workload.post_start == (Sequential("c", (Command("a", "do a"),)),)
        assert unsupported_parts(translation) == ["reference.cycle"]
        assert not translation.usable

    def test_commands_run_in_the_order_of_the_event(self) -> None:
        commands = exec_command("a") + exec_command("b")
        assert [step.id for step in steps(commands, names="[b, a, b]")] == ["b", "a", "b"]

    def test_a_command_for_a_service_is_not_run_and_that_is_said_at_its_component(self) -> None:
        text = devfile(
            "commands:\n" + exec_command("c", component="db") + "events: {postStart: [c]}\n", components=DB
        )
        translation = translated(text)
        [found] = translation.diagnostics
        assert translation.workload.post_start == ()
        assert (found.line, found.column) == column_of(text, "db, commandLine")
        assert found.code == "ignored.exec-in-service"

    def test_an_init_container_of_the_same_image_is_run_before_the_start(self) -> None:
        text = devfile(
            "commands: [{id: c, apply: {component: init}}]\nevents: {preStart: [c]}\n",
            components="- {name: init, container: {image: debian, command: [echo], args: [a b], env: [{name: A, "
            "value: b}]}}",
        )
        workload = translated(text).workload
        assert workload.pre_start == (Command("c", "echo 'a b'", None, (EnvVar("A", "b"),)),)
        assert workload.services == ()
        other = translated(text.replace("image: debian, c", "image: alpine, c"))
        assert (other.workload.pre_start, unsupported_parts(other)) == ((), ["ignored.init-container"])

    def test_what_no_event_runs_and_what_has_no_place_is_listed(self) -> None:
        commands = (
            exec_command("a") + "- {id: b, apply: {component: dev}}\n- {id: e, apply: {component: dev}}\n"
        )
        translation = translated(devfile(f"commands:\n{commands}events: {{postStop: [b], postStart: [e]}}\n"))
        assert unsupported_parts(translation) == [
            "ignored.unused-command",
            "ignored.apply-command",
            "ignored.post-stop",
        ]

    @pytest.mark.parametrize(
        ("written", "folder"),
        [
            ("", None),
            ("${PROJECT_SOURCE}", "$PROJECT_SOURCE"),
            ("$PROJECTS_ROOT/a", "$PROJECTS_ROOT/a"),
            ("${PROJECTS_ROOT}/a", "$PROJECTS_ROOT/a"),
            ("${PROJECT_SOURCE}x", "${PROJECT_SOURCE}x"),
            ("/projects/app", "$PROJECTS_ROOT/app"),
            ("/projects", "$PROJECTS_ROOT"),
            ("/projects2", "/projects2"),
            ("/etc", "/etc"),
            ("sub dir", "sub dir"),
        ],
    )
    def test_working_directories_follow_the_sources(self, written: str, folder: str | None) -> None:
        assert working_dir(written, "/projects") == folder

    def test_a_devfiles_own_source_mapping_is_followed(self) -> None:
        assert working_dir("/src/app", "/src/") == "$PROJECTS_ROOT/app"

    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
    def test_a_command_line_arrives_as_written(self, line: str) -> None:
        import json

        text = json.dumps(
            {
                "schemaVersion": "2.2.0",
                "components": [
                    {"name": "dev", "container": {"image": "x", "env": [{"name": "A", "value": line}]}}
                ],
                "commands": [{"id": "c", "exec": {"component": "dev", "commandLine": line}}],
                "events": {"postStart": ["c"]},
            }
        )
        if "{{" not in line:
            workload = translate(load(text)).workload
            assert workload.env == (EnvVar("A", line),)
            assert workload.post_start == (Command("c", line),)
