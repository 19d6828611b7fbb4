"""A devfile becomes a workload, and what does not is said."""

from __future__ import annotations

import pytest

from tests.devfile.examples import devfile, translated, unsupported_parts
from wsdash.devfile import load, translate
from wsdash.workload import (
    Command,
    EnvVar,
    Port,
    Resources,
    Service,
    Source,
    Volume,
)


def exec_command(name: str, more: str = "", component: str = "dev") -> str:
    return f"- {{id: {name}, exec: {{component: {component}, commandLine: do {name}{more}}}}}\n"


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
    assert unsupported_parts(translation) == ["ignored.service-endpoint"]
    assert translation.usable


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


def test_the_last_of_two_equal_variables_counts() -> None:
    assert translated(LOST["env.duplicate"]).workload.env == (EnvVar("A", "z"),)


def test_variables_given_by_the_caller_reach_the_workload() -> None:
    text = devfile("variables: {tag: '12'}\n").replace("debian", "'debian:{{tag}}'")
    assert translate(load(text)).workload.image == "debian:12"
    assert translate(load(text), variables={"tag": "13"}).workload.image == "debian:13"
