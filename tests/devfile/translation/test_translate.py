"""A devfile becomes a workload, and what does not is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.devfile.examples import column_of, devfile, losses, translated
from wsdash.devfile import load, translate
from wsdash.devfile.translation.steps import working_dir
from wsdash.workload import (
    Command,
    EnvVar,
    Parallel,
    Port,
    Resources,
    Sequential,
    Service,
    Source,
    Step,
    Volume,
)

DB = "- {name: db, container: {image: postgres, mountSources: false}}"


def exec_command(name: str, more: str = "", component: str = "dev") -> str:
    return f"- {{id: {name}, exec: {{component: {component}, commandLine: do {name}{more}}}}}\n"


def steps(commands: str, event: str = "postStart", names: str = "[c]") -> tuple[Step, ...]:
    workload = translated(devfile(f"commands:\n{commands}events: {{{event}: {names}}}\n")).workload
    return {"preStart": workload.pre_start, "postStart": workload.post_start, "preStop": workload.pre_stop}[
        event
    ]


def test_a_whole_devfile() -> None:
    text = devfile(
        """
        commands:
        - id: install
          exec: {component: dev, commandLine: "make \\"$X\\"", workingDir: "${PROJECT_SOURCE}/app", label: Install,
                 env: [{name: A, value: b}]}
        - id: save
          exec: {component: dev, commandLine: save}
        events: {postStart: [install], preStop: [save]}
        projects:
        - {name: app, git: {remotes: {origin: "https://host/app.git"}, checkoutFrom: {revision: main}}}
        """,
        container="""
        env: [{name: PASSWORD, value: '$ecret "x" `y`'}]
        memoryLimit: 2Gi
        cpuRequest: 500m
        endpoints: [{name: web, targetPort: 8080, protocol: https, path: /ui, secure: true, exposure: internal}]
        volumeMounts: [{name: cache, path: /cache}, {name: tmp}]
        """,
        components="""
        - {name: cache, volume: {size: 1Gi}}
        - {name: tmp, volume: {ephemeral: true}}
        - name: db
          container:
            image: postgres:17
            mountSources: false
            command: [docker-entrypoint.sh]
            args: [postgres, -c, fsync=off]
            env: [{name: POSTGRES_DB, value: app}]
            memoryRequest: 256Mi
            endpoints: [{name: sql, targetPort: 5432, protocol: tcp, exposure: none}]
        """,
    )
    translation = translated(text)
    workload = translation.workload
    assert translation.main == "dev"
    assert workload.image == "debian"
    assert workload.env == (EnvVar("PASSWORD", '$ecret "x" `y`'),)
    assert workload.source == Source("https://host/app.git", "main", "app")
    assert workload.post_start == (
        Command("install", 'make "$X"', "$PROJECT_SOURCE/app", (EnvVar("A", "b"),), "Install"),
    )
    assert workload.pre_stop == (Command("save", "save"),)
    assert workload.ports == (Port("web", 8080, "https", "internal", "/ui", True),)
    assert workload.volumes == (Volume("cache", "/cache", 2**30), Volume("tmp", "/tmp", None, True))
    assert workload.resources == Resources(cpu_request=0.5, memory_limit=2 * 2**30)
    assert workload.services == (
        Service(
            name="db",
            image="postgres:17",
            entrypoint=("docker-entrypoint.sh",),
            command=("postgres", "-c", "fsync=off"),
            env=(EnvVar("POSTGRES_DB", "app"),),
            health_port=5432,
            resources=Resources(memory_request=256 * 2**20),
        ),
    )
    assert losses(translation) == ["ignored.service-endpoint"]
    assert translation.usable


class TestMainComponent:
    def test_the_mark_of_gitlab_decides(self) -> None:
        marked = (
            "- {name: b, attributes: {gl/inject-editor: true}, container: {image: x, mountSources: false}}"
        )
        translation = translated(devfile(components=marked))
        assert (translation.main, losses(translation)) == ("b", ["ignored.mount-sources"])

    def test_else_the_only_container_with_the_sources(self) -> None:
        assert translated(devfile(components=DB)).main == "dev"
        first = devfile(container="mountSources: false", components="- {name: b, container: {image: x}}")
        assert translated(first).main == "b"

    def test_a_guess_is_said_with_the_candidates_and_how_to_choose(self) -> None:
        text = devfile(components="- {name: b, container: {image: x}}\n" + DB)
        [found] = [d for d in translated(text).diagnostics if d.code == "main.ambiguous"]
        assert (found.line, found.severity) == (3, "warning")
        assert "dev, b, or mark" in found.hint and "db" not in found.hint

    def test_the_caller_can_choose(self) -> None:
        text = devfile(components="- {name: b, container: {image: x}}")
        assert translated(text, main="b").main == "b"
        assert "main.ambiguous" not in losses(translated(text, main="b"))

    def test_a_choice_that_is_no_container_is_an_error(self) -> None:
        translation = translated(devfile(), main="nothing")
        assert (translation.main, losses(translation), translation.usable) == ("dev", ["main.unknown"], False)

    def test_without_a_container_there_is_no_workspace(self) -> None:
        translation = translated("schemaVersion: 2.2.0\ncomponents: [{name: v, volume: {}}]\n")
        assert (translation.main, translation.usable) == (None, False)
        assert "main.missing" in losses(translation)


class TestEntrypoint:
    COMMAND = "command: [/run.sh]\nargs: ['a b', '$x']"

    def test_the_containers_command_gives_way_to_the_workspace(self) -> None:
        translation = translated(devfile(container=self.COMMAND))
        assert translation.workload.entrypoint == ()
        assert losses(translation) == ["ignored.entrypoint"]

    def with_override(self, value: str, container: str) -> str:
        text = devfile(container=container)
        return text.replace("    container:", f"    attributes: {{overrideCommand: {value}}}\n    container:")

    def test_unless_override_command_is_false(self) -> None:
        translation = translated(self.with_override("false", self.COMMAND))
        assert translation.workload.entrypoint == ("/run.sh", "a b", "$x")
        assert losses(translation) == []

    def test_the_images_own_entrypoint_cannot_be_known(self) -> None:
        translation = translated(self.with_override("false", "args: [x]"))
        assert (translation.workload.entrypoint, losses(translation)) == ((), ["entrypoint.unknown"])

    def test_override_command_is_a_boolean(self) -> None:
        translation = translated(self.with_override("'false'", self.COMMAND))
        assert losses(translation) == ["override-command.type", "ignored.entrypoint"]


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
        assert losses(translation) == ["reference.cycle"]
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
        assert (other.workload.pre_start, losses(other)) == ((), ["ignored.init-container"])

    def test_what_no_event_runs_and_what_has_no_place_is_listed(self) -> None:
        commands = (
            exec_command("a") + "- {id: b, apply: {component: dev}}\n- {id: e, apply: {component: dev}}\n"
        )
        translation = translated(devfile(f"commands:\n{commands}events: {{postStop: [b], postStart: [e]}}\n"))
        assert losses(translation) == ["ignored.unused-command", "ignored.apply-command", "ignored.post-stop"]

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


class TestSource:
    URL = "https://host/team/app.git"
    PROJECT = f"projects: [{{name: app, clonePath: src/app, git: {{remotes: {{origin: '{URL}'}}}}}}]\n"

    def test_without_projects_the_given_source_stays(self) -> None:
        assert translated(devfile(), source=Source(self.URL, "main", "x")).workload.source == Source(
            self.URL, "main", "x"
        )
        assert translated(devfile()).workload.source is None

    def test_the_first_project_is_cloned_where_nothing_else_is_given(self) -> None:
        assert translated(devfile(self.PROJECT)).workload.source == Source(self.URL, None, "src/app")

    @pytest.mark.parametrize(
        "url", ["https://host/team/app", "git@host:team/app.git", "ssh://me@host/team/app.git"]
    )
    def test_the_given_source_takes_the_folder_of_the_project_that_it_is(self, url: str) -> None:
        translation = translated(devfile(self.PROJECT), source=Source(url, "topic"))
        assert translation.workload.source == Source(url, "topic", "src/app")
        assert losses(translation) == []

    def test_another_source_takes_the_folder_too_so_that_commands_find_it_and_that_is_said(self) -> None:
        translation = translated(devfile(self.PROJECT), source=Source("https://host/fork.git"))
        assert translation.workload.source == Source("https://host/fork.git", None, "src/app")
        assert losses(translation) == ["ignored.project"]

    @pytest.mark.parametrize("path", ["/etc", "../x", "a/../../x", ".", "./"])
    def test_a_clone_path_stays_inside(self, path: str) -> None:
        translation = translated(devfile(self.PROJECT.replace("src/app", path)))
        assert translation.workload.source == Source(self.URL, None, "app")
        assert losses(translation) == ["project.clone-path"]

    @pytest.mark.parametrize(
        "url", ["/etc", "file:///etc", "ext::sh -c x", "--upload-pack=x", "-x@host:a", "https://-x"]
    )
    def test_only_network_addresses_of_git_are_cloned(self, url: str) -> None:
        translation = translated(devfile(self.PROJECT.replace(self.URL, url)))
        assert (translation.workload.source, losses(translation)) == (None, ["project.url"])

    def test_the_remote_to_check_out_is_the_devfiles_choice(self) -> None:
        remotes = "{a: 'https://h/a', origin: 'https://h/o'}"
        text = devfile(
            f"projects: [{{name: p, git: {{remotes: {remotes}, checkoutFrom: {{remote: a, revision: v1}}}}}}]\n"
        )
        translation = translated(text)
        assert translation.workload.source == Source("https://h/a", "v1", "p")
        assert losses(translation) == ["ignored.checkout-remote"]

    def test_further_projects_are_listed(self) -> None:
        text = devfile(
            "projects: [{name: a, zip: {location: x}}, {name: b, zip: {}}]\n"
            "dependentProjects: [{name: c, zip: {}}]\nstarterProjects: [{name: d, zip: {}}]\n",
            version="2.2.2",
        )
        assert sorted(losses(translated(text))) == ["ignored.project"] * 3 + ["ignored.starter-project"]


LOST = {
    "ignored.image-component": devfile(components="- {name: i, image: {imageName: x, dockerfile: {uri: D}}}"),
    "ignored.kubernetes-component": devfile(components="- {name: k, kubernetes: {inlined: x}}"),
    "ignored.openshift-component": devfile(components="- {name: k, openshift: {inlined: x}}"),
    "ignored.dedicated-pod": devfile(container="dedicatedPod: true"),
    "ignored.annotation": devfile(container="annotation: {service: {a: b}}"),
    "ignored.attribute": devfile("attributes: {a: b}\n"),
    "ignored.pod-overrides": devfile("attributes: {pod-overrides: {}}\n"),
    "ignored.source-mapping": devfile(container="sourceMapping: /src"),
    "ignored.mount-sources": devfile(container="mountSources: false"),
    "ignored.env-reserved": devfile(container="env: [{name: PROJECTS_ROOT, value: x}]"),
    "env.name": devfile(container="env: [{name: a-b, value: x}]"),
    "env.duplicate": devfile(container="env: [{name: A, value: x}, {name: A, value: z}]"),
    "text.nul": devfile(container='env: [{name: A, value: "\\0"}]'),
    "quantity.invalid": devfile(container="memoryLimit: lots"),
    "port.range": devfile(container="endpoints: [{name: a, targetPort: 0}]"),
    "ignored.udp-endpoint": devfile(container="endpoints: [{name: a, targetPort: 1, protocol: udp}]"),
    "reference.missing": devfile(container="volumeMounts: [{name: v}]"),
    "volume.path": devfile(
        container="volumeMounts: [{name: v, path: a}]", components="- {name: v, volume: {}}"
    ),
    "ignored.unused-volume": devfile(components="- {name: v, volume: {}}"),
    "ignored.override-command": devfile(
        components="- {name: b, attributes: {overrideCommand: true}, container: {image: x, mountSources: false}}"
    ),
    "ignored.architectures": devfile("metadata: {architectures: [arm64]}\n"),
    "ignored.metadata": devfile("metadata: {globalMemoryLimit: 1Gi}\n"),
    "parent.unread": devfile("parent: {id: nodejs}\n"),
    "ignored.hot-reload": devfile(
        "commands:\n" + exec_command("c", ", hotReloadCapable: true") + "events: {postStart: [c]}\n"
    ),
}


@pytest.mark.parametrize("code", LOST)
def test_what_is_not_carried_over_is_said_with_a_place_and_a_remedy(code: str) -> None:
    [found] = translated(LOST[code]).diagnostics
    assert found.code == code
    assert found.line > 1
    assert found.hint


def test_a_service_has_neither_the_volumes_nor_the_sources() -> None:
    text = devfile(
        container="volumeMounts: [{name: v}]",
        components="- {name: v, volume: {}}\n"
        "- {name: db, container: {image: x, dedicatedPod: true, mountSources: true, volumeMounts: [{name: v}]}}",
    )
    found = losses(translated(text, main="dev"))
    assert sorted(found) == ["ignored.dedicated-pod", "ignored.mount-sources", "ignored.service-volume"]


def test_ephemeral_storage_makes_every_volume_start_empty() -> None:
    text = devfile(
        "attributes: {controller.devfile.io/storage-type: ephemeral}\n",
        container="volumeMounts: [{name: v}]",
        components="- {name: v, volume: {}}",
    )
    assert translated(text).workload.volumes == (Volume("v", "/v", None, True),)


def test_the_last_of_two_equal_variables_counts() -> None:
    assert translated(LOST["env.duplicate"]).workload.env == (EnvVar("A", "z"),)


def test_variables_given_by_the_caller_reach_the_workload() -> None:
    text = devfile("variables: {tag: '12'}\n").replace("debian", "'debian:{{tag}}'")
    assert translate(load(text)).workload.image == "debian:12"
    assert translate(load(text), variables={"tag": "13"}).workload.image == "debian:13"
