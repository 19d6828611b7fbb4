"""The profiles beside the lenient one: what the reference parser accepts, and what GitLab does."""

from __future__ import annotations

import pytest

from tests.devfile.examples import devfile
from wsdash.devfile import check
from wsdash.devfile.codes import LENIENT, SEVERITIES


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


def test_every_profile_has_a_severity_for_every_code() -> None:
    assert all(table.keys() == LENIENT.keys() for table in SEVERITIES.values())
