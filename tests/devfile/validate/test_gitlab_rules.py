"""The restrictions that GitLab puts on devfiles, in the profile `gitlab`."""

from __future__ import annotations

import pytest

from tests.devfile.examples import column_of
from wsdash.devfile import Verdict, check
from wsdash.devfile.codes import GITLAB_ONLY

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
