"""The semantic rules, one row a rule: a devfile that breaks it, and what is said where.

The ids are those of the reference parser's rules; "ours" are rules that it lacks.
"""

from __future__ import annotations

import pytest

from tests.devfile.examples import RUN, codes, column_of, commands, devfile, places, remarks
from wsdash.devfile import check
from wsdash.devfile.validate.rules import uri_parses

VOLUME = "- {name: v, volume: {}}"

BROKEN = [
    ("ID-1 component names are unique", "name.duplicate", devfile(components="- {name: ^dev, volume: {}}")),
    ("ID-2 command ids are unique", "name.duplicate", commands(RUN, RUN.replace("run", "^run"))),
    ("ENV-2 a container may not set PROJECT_SOURCE", "env.reserved",
     devfile(container="env: [{name: ^PROJECT_SOURCE, value: x}]")),
    ("an image's reference has no password", "image.invalid",
     devfile().replace("image: debian", "image: ^u:MARKER@reg/x")),
    ("RES-1 memory is a quantity", "quantity.invalid", devfile(container="memoryLimit: ^512MB")),
    ("RES-1 cpu is a quantity", "quantity.invalid", devfile(container="cpuRequest: ^two")),
    ("RES-2 a request is not above its limit", "quantity.request-over-limit",
     devfile(container="cpuLimit: 1500m\ncpuRequest: ^'2'")),
    ("VOL-1 a mounted volume exists", "reference.missing", devfile(container="volumeMounts: [{name: ^v}]")),
    ("VOL-1 a mounted volume is a volume", "reference.missing", devfile(container="volumeMounts: [{name: ^dev}]")),
    ("VOL-3 a volume's size is a quantity", "quantity.invalid",
     devfile(components="- {name: v, volume: {size: ^2GB}}")),
    ("EP-1 endpoint names are unique over all components", "name.duplicate",
     devfile(components="- {name: k, kubernetes: {inlined: x, endpoints: [{name: e, targetPort: 1}]}}\n"
                        "- {name: l, openshift: {inlined: x, endpoints: [{name: ^e, targetPort: 1}]}}")),
    ("EP-2 containers do not share a port", "port.shared",
     devfile(container="endpoints: [{name: a, targetPort: 80}]",
             components="- {name: b, container: {image: x, endpoints: [{name: b, targetPort: ^80}]}}")),
    ("PRJ-1 a project has a remote", "project.remotes",
     devfile("projects: [{name: p, git: {remotes: ^{}}}]\n")),
    ("PRJ-2 of several remotes one is checked out", "project.checkout-remote",
     devfile("projects: [{name: p, git: ^{remotes: {a: u, b: u}}}]\n")),
    ("PRJ-3 the remote that is checked out exists", "project.checkout-remote",
     devfile("projects: [{name: p, git: {remotes: {a: u}, checkoutFrom: {remote: ^b}}}]\n")),
    ("PRJ-6 a starter project has one remote", "project.remotes",
     devfile("starterProjects: [{name: p, git: {remotes: ^{a: u, b: u}}}]\n")),
    ("PRJ-6 an image's Git source has one remote", "project.remotes",
     devfile(components="- {name: i, image: {imageName: x, dockerfile: {git: {remotes: ^{}}}}}")),
    ("K8S-2 the address of a manifest parses", "uri.invalid",
     devfile(components="- {name: k, kubernetes: {uri: ^'http://a b/'}}")),
    ("ours: there is a component", "component.none", "^schemaVersion: 2.2.0\n"),
    ("ours: an image is not empty", "image.invalid", devfile().replace("debian", "^''")),
    ("ours: an image has no blanks", "image.invalid", devfile().replace("debian", "^debian 12")),
    ("ours: a port exists", "port.range", devfile(container="endpoints: [{name: a, targetPort: ^70000}]")),
    ("ours: a limit is not negative", "quantity.negative", devfile(container="memoryLimit: ^'-1'")),
    ("ours: a mount path is absolute", "volume.path",
     devfile(container="volumeMounts: [{name: v, path: ^data}]", components=VOLUME)),
    ("ours: one volume at a path", "volume.same-path",
     devfile(container="volumeMounts: [{name: v, path: /w}, ^{name: w}]",
             components=f"{VOLUME}\n- {{name: w, volume: {{}}}}")),
    ("ours: no NUL in a command", "text.nul",
     commands('{id: a, exec: {component: dev, commandLine: ^"a\\0b"}}')),
    ("ours: no NUL in an environment", "text.nul", devfile(container='env: [{name: A, value: ^"\\0"}]')),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "code", "marked"), BROKEN, ids=[rule for rule, _, _ in BROKEN])
def test_breaking_a_rule_is_an_error_at_the_marked_value(rule: str, code: str, marked: str) -> None:
    text = marked.replace("^", "")
    assert places(text) == [(*column_of(marked, "^"), code)], rule
    assert check(text).verdict == "reject"


MILD = {
    "ANN-1 annotations disagree": (
        devfile(container="annotation: {service: {a: b}}",
                components="- {name: c, container: {image: x, annotation: {service: {a: c}}}}"),
        "annotation.conflict"),
    "EP-2 with a pod of its own": (
        devfile(container="dedicatedPod: true\nendpoints: [{name: a, targetPort: 80}]",
                components="- {name: b, container: {image: x, endpoints: [{name: b, targetPort: 80}]}}"),
        "port.shared-dedicated-pod"),
    "memory in thousandths of a byte": (devfile(container="memoryLimit: 512m"), "quantity.less-than-a-byte"),
}  # fmt: skip


@pytest.mark.parametrize("rule", MILD)
def test_where_the_reference_parser_is_too_strict_it_is_a_warning(rule: str) -> None:
    text, code = MILD[rule]
    assert [(d.severity, d.code) for d in remarks(text)] == [("warning", code)]
    assert check(text).verdict == "accept"


SOUND = {
    "a limit of zero is no limit": devfile(container="memoryLimit: '0'\nmemoryRequest: 1Gi"),
    "units are compared by value": devfile(container="memoryLimit: 1Gi\nmemoryRequest: 1024Mi"),
    "one container may repeat a port": devfile(
        container="endpoints: [{name: a, targetPort: 80}, {name: b, targetPort: 80}]"
    ),
    "cluster endpoints may repeat a port": devfile(
        container="endpoints: [{name: a, targetPort: 80}]",
        components="- {name: k, kubernetes: {inlined: x, endpoints: [{name: b, targetPort: 80}]}}",
    ),
    "project names may repeat": devfile(
        "projects: [{name: p, git: {remotes: {a: u}}}, {name: p, git: {remotes: {a: u}}}]\n"
    ),
    "dependent projects are not checked": devfile(
        "dependentProjects: [{name: p, git: {remotes: {}}}]\n", version="2.2.2"
    ),
    "one volume may be mounted twice": devfile(
        container="volumeMounts: [{name: v, path: /a}, {name: v, path: /b}]", components="- {name: v, volume: {}}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("example", SOUND)
def test_what_the_rules_allow_is_silent(example: str) -> None:
    assert codes(SOUND[example]) == []


def test_with_an_unread_parent_missing_elements_are_not_held_against_the_file() -> None:
    text = devfile(
        "parent: {id: nodejs}\nevents: {postStart: [install]}\n"
        "commands: [{id: a, exec: {component: runtime, commandLine: x}}]\n",
        container="volumeMounts: [{name: cache}]",
    )
    assert [(d.severity, d.code) for d in remarks(text)] == [("warning", "parent.not-read")]
    assert codes("schemaVersion: 2.2.0\nparent: {id: nodejs}\n") == ["parent.not-read"]


@pytest.mark.parametrize(
    "uri", ["deploy.yaml", "../a/b.yaml", "https://h/p?q#f", "https://[::1]:80/a", "urn:a:b", "a%20b"]
)
def test_addresses_that_parse(uri: str) -> None:
    assert uri_parses(uri)


@pytest.mark.parametrize(
    "uri", [":foo", "1a:b", "http://a:b/", "http://a b/", "a%zz", "a\nb", "http://[::1/"]
)
def test_addresses_that_do_not_parse(uri: str) -> None:
    assert not uri_parses(uri)
