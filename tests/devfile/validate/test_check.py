"""The profiles beside the lenient one: what the reference parser accepts, and what GitLab does."""

from __future__ import annotations

import pytest

from tests.devfile.examples import column_of, devfile
from wsdash.devfile import Verdict, check
from wsdash.devfile.codes import GITLAB_ONLY, LENIENT, SEVERITIES


def verdicts(text: str) -> tuple[str, str]:
    return check(text).verdict, check(text, profile="library").verdict


TWO_RUNS = "".join(
    f"- {{id: {name}, exec: {{component: dev, commandLine: x, group: {{kind: run}}}}}}\n" for name in "ab"
)
REFUSED_BY_THE_LIBRARY = {
    "an unknown field": devfile(container="colour: red"),
    "a field of a later schema": devfile(container="cpuLimit: '1'", version="2.0.0"),
    "a field that went": devfile("projects: [{name: p, github: {}, git: {remotes: {o: u}}}]\n"),
    "no default among commands of a kind": devfile("commands:\n" + TWO_RUNS),
    "annotations that disagree": devfile(
        container="annotation: {service: {a: b}}",
        components="- {name: c, container: {image: x, annotation: {service: {a: c}}}}",
    ),
    "a port shared with a pod of its own": devfile(
        container="dedicatedPod: true\nendpoints: [{name: a, targetPort: 80}]",
        components="- {name: b, container: {image: x, endpoints: [{name: b, targetPort: 80}]}}",
    ),
    "a variable in a CPU limit": devfile("variables: {cpu: '1'}\n", container="cpuLimit: '{{cpu}}'"),
}


@pytest.mark.parametrize("case", REFUSED_BY_THE_LIBRARY)
def test_the_reference_parser_refuses_what_runs_well(case: str) -> None:
    assert verdicts(REFUSED_BY_THE_LIBRARY[case]) == ("accept", "reject")


ACCEPTED_BY_THE_LIBRARY = {
    "no component": "schemaVersion: 2.2.0\n",
    "an empty image": devfile().replace("debian", "''"),
    "a port that cannot be": devfile(container="endpoints: [{name: a, targetPort: 70000}]"),
    "a negative limit": devfile(container="memoryLimit: '-1'"),
    "a mount path that is not absolute": devfile(
        container="volumeMounts: [{name: v, path: a}]", components="- {name: v, volume: {}}"
    ),
    "an undefined variable in an image": devfile().replace("debian", "'{{x}}'"),
    "a key that stands twice": devfile() + "metadata: {name: a}\nmetadata: {name: b}\n",
    "two documents": devfile() + "---\na: b\n",
}


@pytest.mark.parametrize("case", ACCEPTED_BY_THE_LIBRARY)
def test_the_reference_parser_accepts_what_can_never_run(case: str) -> None:
    assert verdicts(ACCEPTED_BY_THE_LIBRARY[case]) == ("reject", "accept")


def test_schema_2_0_0_still_has_fields_that_are_passed_over() -> None:
    project = "projects: [{name: p, sparseCheckoutDirs: [a], git: {remotes: {o: u}}}]\n"
    assert verdicts(devfile(project, version="2.0.0")) == ("accept", "accept")
    assert verdicts(devfile(project, version="2.1.0")) == ("accept", "reject")


GITLAB = """\
schemaVersion: 2.2.0
variables: {tag: "13"}
components:
  - name: dev
    attributes: {gl/inject-editor: true}
    container:
      image: debian:{{tag}}
      mountSources: false
      env: [{name: A, value: b}]
      endpoints: [{name: web, targetPort: 80}]
      volumeMounts: [{name: data, path: /data}]
  - name: db
    attributes: {overrideCommand: false}
    container: {image: postgres, args: [-c, fsync=off]}
  - name: data
    volume: {size: 1Gi}
commands:
  - id: install
    exec: {component: dev, commandLine: make, workingDir: /x, label: l, hotReloadCapable: false}
  - id: prepare
    apply: {component: db}
events: {preStart: [prepare], postStart: [install], preStop: []}
"""


def gitlab(text: str) -> Verdict:
    return check(text, profile="gitlab")


def test_gitlab_accepts_what_keeps_to_its_rules() -> None:
    assert gitlab(GITLAB) == Verdict("devfile.yaml", "accept")
    assert gitlab(GITLAB.replace("editor: true", 'editor: "false"')).verdict == "accept"


CHANGES = [
    ("another schema", "2.2.0\n", "^2.2.2\n", "gitlab.version"),
    ("a version with an ending", "2.2.0\n", "^2.2.0-x\n", "gitlab.version"),
    ("a date without quotes", 'tag: "13"', 'tag: "13", d: ^2026-01-02', "gitlab.text"),
    ("an alias", "value: b}", "value: &b b}, {name: B, value: ^*b}", "gitlab.text"),
    ("projects", "components:", "^projects: []\ncomponents:", "gitlab.field"),
    ("starter projects", "components:", "^starterProjects: []\ncomponents:", "gitlab.field"),
    ("pod overrides", "components:", "attributes: {^pod-overrides: {}}\ncomponents:", "gitlab.field"),
    ("container overrides", "{overrideCommand", "{^container-overrides: {}, overrideCommand", "gitlab.field"),
    ("mounted sources", "mountSources: false", "^mountSources: true", "gitlab.field"),
    ("a source mapping", "mountSources: false", "^sourceMapping: /src", "gitlab.field"),
    ("a pod of its own", "mountSources: false", "^dedicatedPod: true", "gitlab.field"),
    ("no main component", "{gl/inject-editor: true}", "{}", "gitlab.main-component"),
    ("two main components", "{overrideCommand", "{gl/inject-editor: true, overrideCommand", "gitlab.main-component"),
    ("an entrypoint", "{overrideCommand: false}", "{}", "gitlab.override-command"),
    ("no boolean", "overrideCommand: false", 'overrideCommand: ^"false"', "gitlab.override-command"),
    ("an image to build", "volume: {size: 1Gi}", "volume: {size: 1Gi}\n  - {name: i, ^image: {imageName: x,"
     " dockerfile: {uri: D}}}", "gitlab.component"),
    ("a manifest", "volume: {size: 1Gi}", "volume: {size: 1Gi}\n  - {name: i, ^kubernetes: {inlined: x}}",
     "gitlab.component"),
    ("a group", "label: l", "label: l, ^group: {kind: run}", "gitlab.command"),
    ("an environment", "label: l", "label: l, ^env: [{name: A, value: b}]", "gitlab.command"),
    ("hot reload", "hotReloadCapable: false", "^hotReloadCapable: true", "gitlab.command"),
    ("a composite", "events:", "  - {id: all, ^composite: {commands: [install]}}\nevents:", "gitlab.command"),
    ("another event", "preStop: []", "^preStop: [install]", "gitlab.event"),
    ("another case in an event", "postStart: [install]", "postStart: [^Install]", "gitlab.event"),
    ("a reserved endpoint", "name: web", "name: ^gl-web", "gitlab.reserved-name"),
    ("a reserved label", "label: l", "label: ^GL-x", "gitlab.reserved-name"),
    ("a reserved variable", "{tag", "{^gl_a: x, tag", "gitlab.reserved-name"),
    ("a reserved label by a variable", 'tag: "13"}', 'tag: "13", p: gl-a}', "gitlab.reserved-name"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "old", "new", "code"), CHANGES, ids=[what for what, *_ in CHANGES])
def test_gitlab_refuses(what: str, old: str, new: str, code: str) -> None:
    marked = GITLAB.replace(old, new, 1)
    if "by a variable" in what:
        marked = marked.replace("label: l", "label: ^'{{p}}'")
    found = [d for d in gitlab(marked.replace("^", "")).diagnostics if d.severity == "error"]
    assert [d.code for d in found] == [code]
    if "^" in marked:
        assert (found[0].line, found[0].column) == column_of(marked, "^")


def test_gitlab_takes_no_parent_even_where_it_could_be_read() -> None:
    text = GITLAB.replace("components:", "parent: {uri: base.yaml}\ncomponents:", 1)
    verdict = check(text, profile="gitlab", read_parent=lambda _: "schemaVersion: 2.2.0\n")
    assert [d.code for d in verdict.diagnostics if d.severity == "error"] == ["gitlab.field"]


def test_a_long_volume_name_is_refused_and_one_less_is_not() -> None:
    assert (
        gitlab(GITLAB.replace("data\n", "d" * 27 + "\n").replace("name: data,", f"name: {'d' * 27},")).verdict
        == "accept"
    )
    [found] = gitlab(
        GITLAB.replace("data\n", "d" * 28 + "\n").replace("name: data,", f"name: {'d' * 28},")
    ).diagnostics
    assert found.code == "gitlab.component"


def test_only_the_gitlab_profile_looks_for_gitlabs_restrictions() -> None:
    for _, old, new, _ in CHANGES:
        text = GITLAB.replace(old, new, 1).replace("^", "")
        for profile in ("lenient", "library"):
            found = check(text, profile=profile).diagnostics
            assert not {d.code for d in found} & set(GITLAB_ONLY)


def test_every_profile_has_a_severity_for_every_code() -> None:
    assert all(table.keys() == LENIENT.keys() for table in SEVERITIES.values())
