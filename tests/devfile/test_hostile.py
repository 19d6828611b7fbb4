"""Nothing that a repository can hold makes `check` raise, hang or grow without bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.devfile.examples import devfile
from tests.devfile.hostile import PROPERTIES, held
from wsdash.devfile import check, load, translate
from wsdash.devfile.limits import MAX_DIAGNOSTICS, MAX_STEPS, MAX_VALUES
from wsdash.workload import Parallel, Sequential, Step


@pytest.mark.parametrize(
    ("examples", "holds"),
    PROPERTIES,
    ids=["any text", "any bytes", "words of YAML", "anything anywhere", "a sound one changed",
         "any text as a container", "containers", "containers with compose files"],
)  # fmt: skip
def test_every_text_gets_a_verdict(examples: st.SearchStrategy[object], holds: Callable[..., None]) -> None:
    settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)(
        given(examples)(holds)
    )()


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
    return sum(leaves(step.steps) if isinstance(step, Sequential | Parallel) else 1 for step in steps)


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
