"""Nothing that a repository can hold makes `check` raise, hang or grow without bound."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.devfile.examples import devfile
from wsdash.devfile import DevfileError, check, load, translate
from wsdash.devfile.codes import LENIENT
from wsdash.devfile.limits import MAX_DIAGNOSTICS, MAX_STEPS, MAX_VALUES
from wsdash.workload import Parallel, Sequence, Step

_WORDS = """schemaVersion 2.2.0 2.0.0 components commands events name id container image volume exec apply
composite component commandLine workingDir env value args endpoints targetPort postStart preStart projects git
remotes parent uri attributes variables {{x}} {{ dev - ? : , [ ] { } & * ! | > ' " % @ ` # ~ null yes 1 8080 -1
1e9 &a *a << {} [] --- ... \\"""
WORDS = st.sampled_from([*_WORDS.split(), "", "\t"])
YAML_SOUP = st.lists(
    st.tuples(st.sampled_from(["\n", "\n  ", "\n    - ", ": ", " ", ""]), WORDS), max_size=40
).map(lambda parts: "".join(space + word for space, word in parts))
NAMES = st.sampled_from(["dev", "db", "vol", "a", "B", "", "x" * 70, "é", "a b"])
TEXTS = st.sampled_from(["", "x", "{{v}}", "{{u}}", "/p", "$(rm)", "1Gi", "-1", "a\0b", "..", "/..", "1e99"])
SCALARS = st.none() | st.booleans() | st.integers(-2, 70000) | TEXTS | NAMES


def mappings(*keys: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.dictionaries(st.sampled_from(keys), values, max_size=5)


ENTRIES = st.lists(
    mappings("name", "value", "path", "targetPort", "exposure", "protocol", values=SCALARS), max_size=3
)
BODIES = mappings(
    "image", "args", "command", "env", "memoryLimit", "cpuLimit", "mountSources", "dedicatedPod", "volumeMounts",
    "endpoints", "commandLine", "component", "commands", "parallel", "workingDir", "size", "uri", "remotes",
    "checkoutFrom", "group", "sourceMapping", "dockerfile", "imageName",
    values=SCALARS | ENTRIES | st.lists(NAMES | TEXTS, max_size=3)
    | mappings("kind", "isDefault", "remote", "origin", "revision", values=SCALARS),
)  # fmt: skip
ELEMENTS = mappings(
    "name", "id", "container", "volume", "image", "kubernetes", "exec", "apply", "composite", "git", "zip",
    "clonePath", "attributes", values=SCALARS | BODIES,
)  # fmt: skip
DEVFILES = st.fixed_dictionaries(
    {"schemaVersion": st.sampled_from(["2.2.0", "2.0.0", "2.3.0", "2.9.9", 2.2, None])},
    optional={
        "components": st.lists(ELEMENTS, max_size=4) | SCALARS,
        "commands": st.lists(ELEMENTS, max_size=4),
        "events": mappings(
            "preStart", "postStart", "preStop", "postStop", values=st.lists(NAMES, max_size=3)
        ),
        "projects": st.lists(ELEMENTS, max_size=2),
        "starterProjects": st.lists(ELEMENTS, max_size=2),
        "variables": mappings("v", "w", values=SCALARS),
        "attributes": SCALARS | mappings("pod-overrides", "a", values=SCALARS),
        "parent": BODIES,
    },
)


def held(text: str | bytes) -> None:
    """`check` and `translate` return, and everything they say is well formed."""
    verdict = check(text)
    assert (verdict.verdict == "reject") == any(d.severity == "error" for d in verdict.diagnostics)
    try:
        told = [*verdict.diagnostics, *translate(load(text)).diagnostics]
    except DevfileError as error:
        told = list(error.diagnostics)
        assert verdict.verdict == "reject"
    for diagnostic in told:
        assert diagnostic.code in LENIENT
        assert diagnostic.line >= 1 and diagnostic.column >= 1
        assert (diagnostic.message + diagnostic.hint).isprintable() or "\ufffd" in diagnostic.message
        assert "\n" not in diagnostic.message + diagnostic.hint
        assert len(diagnostic.message) < 600


@given(st.text())
def test_any_text_gets_a_verdict(text: str) -> None:
    held(text)


@given(st.binary())
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    held(data)


@settings(max_examples=200)
@given(YAML_SOUP)
def test_devfile_like_text_gets_a_verdict(text: str) -> None:
    held(text)
    held("schemaVersion: 2.2.0\n" + text)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(DEVFILES)
def test_devfiles_with_anything_in_the_wrong_place_get_a_verdict(content: dict[str, object]) -> None:
    held(json.dumps(content))


def listed(template: str, count: int) -> str:
    return ", ".join(template.replace("%", str(n)) for n in range(count))


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (LAUGHS, "yaml.too-many-aliases"),
        ("a: &a {b: 1}\nc:\n" + "  <<: *a\n" * MAX_VALUES, "yaml.too-many-aliases"),
        ("- " * 100_000, "yaml.too-deep"),
        ("---\n" + "{a: " * 100_000, "yaml.too-deep"),
        ('{"a": ' * 100_000, "yaml.too-deep"),
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200)), "yaml.too-deep"),
        ("a: [" + "x," * MAX_VALUES + "]", "yaml.too-many-values"),
        ('{"a": [' + "1," * MAX_VALUES + "1]}", "yaml.too-many-values"),
    ],
    ids=["laughs", "merges", "lists", "mappings", "json", "chain of aliases", "yaml values", "json values"],
)
def test_bombs_are_refused_while_reading(text: str, code: str) -> None:
    assert [d.code for d in check(text).diagnostics] == [code]


@pytest.mark.parametrize(
    "body",
    [
        "unknown: {" + listed("k%: 1", 5000) + "}\n" + "".join(f"u{n}: 1\n" for n in range(5000)),
        "commands: [" + listed("{id: c%, composite: {commands: [x%, y%]}}", 3000) + "]\n",
        "events: {postStart: [" + listed("c%", 20_000) + "]}\n",
        "variables: {" + listed("v%: '{{v%}}'", 5000) + "}\n",
        "projects: [" + listed("{name: p%, git: {remotes: {a%: b, c%: d}}}", 2000) + "]\n",
    ],
    ids=["unknown fields", "missing commands", "missing events", "variables", "remotes"],
)
def test_a_flood_of_problems_is_cut_and_rejected(body: str) -> None:
    verdict = check(devfile(body))
    assert len(verdict.diagnostics) <= MAX_DIAGNOSTICS + 1
    held(devfile(body))


def test_braces_without_end_take_no_time_that_grows_with_their_square() -> None:
    args = "args: ['" + "{{" * 500_000 + "', \"" + "{{a\\nb" * 200_000 + '}}"]'
    held(devfile(container=args))


def leaves(steps: tuple[Step, ...]) -> int:
    return sum(leaves(step.steps) if isinstance(step, Sequence | Parallel) else 1 for step in steps)


def test_composites_that_double_at_each_level_are_cut() -> None:
    text = devfile("commands:\n- {id: c0, exec: {component: dev, commandLine: x}}\n" + "".join(
        f"- {{id: c{n}, composite: {{commands: [c{n - 1}, c{n - 1}]}}}}\n" for n in range(1, 20)
    ) + "events: {postStart: [c19]}\n")  # fmt: skip
    translation = translate(load(text))
    assert leaves(translation.workload.post_start) == MAX_STEPS
    assert "step.too-many" in [d.code for d in translation.diagnostics]


def test_composites_nested_without_end_are_cut() -> None:
    text = devfile("commands:\n- {id: c0, exec: {component: dev, commandLine: x}}\n" + "".join(
        f"- {{id: c{n}, composite: {{commands: [c{n - 1}]}}}}\n" for n in range(1, 3000)
    ) + "events: {postStart: [c2999, c0]}\n")  # fmt: skip
    translation = translate(load(text))
    assert leaves(translation.workload.post_start) == 1
    assert "step.too-deep" in [d.code for d in translation.diagnostics]
