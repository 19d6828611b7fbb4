"""The rules for commands, groups and events, one row a rule. The ids are those of the reference parser's rules."""

from __future__ import annotations

import pytest

from tests.devfile.examples import RUN, codes, column_of, commands, devfile, grouped, places, remarks
from wsdash.devfile import check

VOLUME = "- {name: v, volume: {}}"

BROKEN = [
    ("CMD-1 exec names a component, exactly as written", "reference.missing",
     commands("{id: run, exec: {component: ^Dev, commandLine: x}}")),
    ("CMD-1 exec names a container", "reference.wrong-kind",
     devfile("commands: [{id: a, exec: {component: ^v, commandLine: x}}]\n", components=VOLUME)),
    ("CMD-3 apply names no volume", "reference.wrong-kind",
     devfile("commands: [{id: a, apply: {component: ^v}}]\n", components=VOLUME)),
    ("CMP-1 composite names commands", "reference.missing", commands("{id: a, composite: {commands: [^b]}}")),
    ("CMP-2 composite does not name itself", "reference.cycle", commands("{id: a, composite: ^{commands: [A]}}")),
    ("GRP-2 one default of a kind", "group.several-defaults",
     commands(grouped("a", "kind: run, isDefault: true"), grouped("b", "kind: run, isDefault: ^true"))),
    ("EVT-1 preStart runs apply commands", "reference.wrong-kind", commands(RUN, events="{preStart: [^run]}")),
    ("EVT-2 postStart runs exec commands", "reference.wrong-kind",
     commands("{id: a, apply: {component: dev}}", events="{postStart: [^a]}")),
    ("EVT-2 also inside a composite", "reference.wrong-kind",
     commands("{id: a, apply: {component: dev}}", "{id: c, composite: {commands: [a]}}", events="{preStop: [^c]}")),
    ("EVT-3 events name commands", "reference.missing", commands(RUN, events="{postStop: [^x]}")),
    ("EVT-6 no composite in a composite of an event", "event.nested-composite",
     commands(RUN, "{id: c, composite: {commands: [run]}}", "{id: d, composite: {commands: [c]}}",
              events="{postStart: [^d]}")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "code", "marked"), BROKEN, ids=[rule for rule, _, _ in BROKEN])
def test_breaking_a_rule_is_an_error_at_the_marked_value(rule: str, code: str, marked: str) -> None:
    text = marked.replace("^", "")
    assert places(text) == [(*column_of(marked, "^"), code)], rule
    assert check(text).verdict == "reject"


def test_a_group_without_a_default_is_a_warning_where_the_reference_parser_refuses_it() -> None:
    text = commands(grouped("a", "kind: run"), grouped("b", "kind: run"))
    assert [(d.severity, d.code) for d in remarks(text)] == [("warning", "group.no-default")]
    assert check(text).verdict == "accept"


SOUND = {
    "a command may set PROJECT_SOURCE": commands(
        "{id: a, exec: {component: dev, commandLine: x, env: [{name: PROJECT_SOURCE, value: x}]}}"
    ),
    "composites are found without regard to case": commands(RUN, "{id: c, composite: {commands: [RUN]}}"),
    "events are found without regard to case": commands(RUN, events="{postStart: [Run]}"),
    "a composite may be empty": commands("{id: a, composite: {}}"),
    "a diamond of composites is no cycle": commands(
        RUN, "{id: a, composite: {commands: [run]}}", "{id: b, composite: {commands: [run]}}",
        "{id: c, composite: {commands: [a, b]}}",
    ),
    "preStart may hold a composite of apply commands": commands(
        "{id: a, apply: {component: dev}}", "{id: c, composite: {commands: [a]}}", events="{preStart: [c]}"
    ),
    "parts written in another case escape the event check": commands(
        RUN, "{id: c, composite: {commands: [RUN]}}", events="{preStart: [c]}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("example", SOUND)
def test_what_the_rules_allow_is_silent(example: str) -> None:
    assert codes(SOUND[example]) == []
