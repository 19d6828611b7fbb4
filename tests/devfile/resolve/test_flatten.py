"""Parents, overrides and variables. The expected merges are those of the reference parser (devfile/api)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.devfile.examples import column_of
from tests.devfile.hostile import DEVFILES, YAML_SOUP
from tests.devfile.resolve.children import CHILD, codes, content, flat
from wsdash.devfile import (
    DevfileError,
    Folder,
    caret,
    check,
    flatten,
    flatten_async,
    load,
    to_yaml,
    translate,
)
from wsdash.devfile.codes import LENIENT
from wsdash.devfile.limits import MAX_PARENTS

PARENT = """\
schemaVersion: 2.1.0
metadata: {name: base}
variables: {tag: "13"}
components:
  - name: dev
    container:
      image: debian:{{tag}}
      memoryLimit: 1Gi
commands:
  - id: install
    exec: {component: dev, commandLine: make install}
events: {postStart: [install]}
"""


def test_a_child_has_all_that_its_parent_brings_and_its_own_metadata() -> None:
    document = flat(CHILD, base=PARENT)
    assert document.diagnostics == ()
    assert content(document) == {
        "schemaVersion": "2.2.0",
        "metadata": {"name": "child"},
        "variables": {"tag": "13"},
        "components": [{"name": "dev", "container": {"image": "debian:13", "memoryLimit": "1Gi"}}],
        "commands": [{"id": "install", "exec": {"component": "dev", "commandLine": "make install"}}],
        "events": {"postStart": ["install"]},
    }


def test_a_child_without_metadata_gets_none() -> None:
    assert "metadata" not in content(flat(CHILD.replace("metadata: {name: child}\n", ""), base=PARENT))


def test_what_the_child_adds_follows_and_events_are_united_without_repeats() -> None:
    child = CHILD + (
        "components: [{name: cache, volume: {}}]\n"
        "commands: [{id: test, exec: {component: dev, commandLine: t}}]\n"
        "events: {postStart: [test, install], preStop: [test]}\n"
        "attributes: {a: 1}\nvariables: {more: x}\n"
    )
    found = content(flat(child, base=PARENT))
    assert [c["name"] for c in found["components"]] == ["dev", "cache"]
    assert found["events"] == {"postStart": ["install", "test"], "preStop": ["test"]}
    assert (found["variables"], found["attributes"]) == ({"tag": "13", "more": "x"}, {"a": 1})


def test_parents_have_parents_and_paths_are_relative_to_the_file_that_names_them() -> None:
    files = {
        "stacks/java/devfile.yaml": CHILD.replace("base.yaml", "../common.yaml"),
        "stacks/common.yaml": CHILD.replace("base.yaml", "./deep/base.yaml"),
        "stacks/deep/base.yaml": PARENT,
    }
    child = load(CHILD.replace("base.yaml", "../stacks/java/devfile.yaml"), file="app/devfile.yaml")
    document = flatten(child, read_parent=files.get)
    assert document.diagnostics == ()
    assert document.devfile.components[0].name == "dev"
    assert set(document.parents) == set(files)


def test_variables_are_replaced_after_overrides_and_given_ones_count_most() -> None:
    child = CHILD.replace("{uri: base.yaml}", "{uri: base.yaml, variables: {tag: '12'}}")
    assert flat(child, base=PARENT).devfile.components[0].container.image == "debian:12"  # type: ignore[union-attr]
    given = flatten(load(child), read_parent=lambda _: PARENT, variables={"tag": "sid"})
    assert given.devfile.components[0].container.image == "debian:sid"  # type: ignore[union-attr]


def test_what_a_variable_brings_in_is_never_replaced_again() -> None:
    document = flat(CHILD, base=PARENT.replace('"13"', '"{{tag}}"'))
    assert translate(document).workload.image == "debian:{{tag}}"
    assert flatten(document, read_parent=lambda _: None) is document


WRONG = [
    ("a component that the parent has", "parent.conflict", CHILD, "components: [{name: ^dev, volume: {}}]"),
    ("a command", "parent.conflict", CHILD, "commands: [{id: ^install, composite: {}}]"),
    ("a variable", "parent.conflict", CHILD, "variables: {^tag: x}"),
    (
        "a component that the parent lacks",
        "parent.override",
        CHILD.replace("base.yaml}", "base.yaml, components: [{name: ^d, volume: {}}]}"),
        "",
    ),
    ("a variable", "parent.override", CHILD.replace("base.yaml}", "base.yaml, variables: {^t: x}}"), ""),
    ("an attribute", "parent.override", CHILD.replace("base.yaml}", "base.yaml, attributes: {^t: x}}"), ""),
    ("a registry's id", "parent.remote", CHILD.replace("uri: base.yaml", "id: ^nodejs"), ""),
    ("a web address", "parent.remote", CHILD.replace("base.yaml", "^HTTPS://h/devfile.yaml"), ""),
    ("a resource", "parent.unsupported", CHILD.replace("uri: base.yaml", "kubernetes: ^{name: a}"), ""),
    ("another scheme", "parent.unsupported", CHILD.replace("base.yaml", "^file:///etc/passwd"), ""),
    ("up and out", "parent.path", CHILD.replace("base.yaml", "^../base.yaml"), ""),
    ("hidden up and out", "parent.path", CHILD.replace("base.yaml", "^a/../../base.yaml"), ""),
    ("absolute", "parent.path", CHILD.replace("base.yaml", "^/etc/base.yaml"), ""),
    ("no path", "parent.path", CHILD.replace("base.yaml", '^"a\\0b"'), ""),
    ("no such file", "parent.missing", CHILD.replace("base.yaml", "^base.yml"), ""),
    ("itself", "parent.cycle", CHILD.replace("base.yaml", "^devfile.yaml"), ""),
    ("a newer schema", "parent.newer", CHILD.replace("2.2.0", "2.0.0").replace("base", "^base"), ""),
    (
        "no type",
        "schema.override-type",
        CHILD.replace("base.yaml}", "base.yaml, components: [^{name: dev, attributes: {a: 1}}]}"),
        "",
    ),
]


@pytest.mark.parametrize(("title", "code", "head", "body"), WRONG, ids=[title for title, *_ in WRONG])
def test_what_does_not_fit_is_told_at_the_childs_own_place(
    title: str, code: str, head: str, body: str
) -> None:
    marked = head + body
    [found] = flat(marked.replace("^", ""), base=PARENT).diagnostics
    assert (found.line, found.column, found.code) == (*column_of(marked, "^"), code), title
    assert found.file is None
    assert found.hint


def test_a_circle_of_parents_is_told_where_it_closes() -> None:
    files = {"a.yaml": CHILD.replace("base", "b"), "b.yaml": CHILD.replace("base", "a")}
    document = flatten(load(CHILD.replace("base", "a")), read_parent=files.get)
    assert [(d.code, d.file) for d in document.diagnostics] == [("parent.cycle", "b.yaml")]


def test_a_tower_of_parents_has_an_end() -> None:
    read: list[str] = []

    def endless(path: str) -> str:
        read.append(path)
        return CHILD.replace("base", f"p{len(read)}")

    assert codes(flatten(load(CHILD), read_parent=endless)) == ["parent.too-deep"]
    assert len(read) == MAX_PARENTS


def test_what_is_wrong_in_a_parent_is_told_with_its_file_and_place() -> None:
    broken = PARENT.replace("memoryLimit: 1Gi", "memoryLimit: 1GB\n      size: 1")
    files = {"base.yaml": broken}
    verdict = check(CHILD, read_parent=files.get)
    assert [(d.code, d.file, d.line) for d in verdict.diagnostics] == [
        ("quantity.invalid", "base.yaml", 8),
        ("schema.unknown-field", "base.yaml", 9),
    ]
    assert caret(files["base.yaml"], verdict.diagnostics[0]).splitlines()[0].strip() == "memoryLimit: 1GB"


def test_what_an_override_breaks_is_told_where_the_override_is() -> None:
    child = CHILD.replace(
        "base.yaml}", "base.yaml, components: [{name: dev, container: {memoryLimit: 1GB}}]}"
    )
    [found] = check(child, read_parent=lambda _: PARENT).diagnostics
    assert (found.code, found.file) == ("quantity.invalid", None)
    assert (found.line, found.column) == column_of(child, "1GB")


def test_a_parent_that_is_no_devfile_is_told_and_the_child_stands() -> None:
    document = flat(CHILD, base="[")
    assert [(d.code, d.file) for d in document.diagnostics] == [("yaml.syntax", "base.yaml")]
    assert document.inherits


def test_a_parent_that_would_have_to_be_fetched_is_not_held_against_a_checked_file() -> None:
    child = "schemaVersion: 2.2.0\nparent: {id: nodejs}\nevents: {postStart: [run]}\n"
    verdict = check(child, read_parent=lambda _: None)
    assert [(d.severity, d.code) for d in verdict.diagnostics] == [("warning", "parent.not-read")]
    between = check(CHILD, read_parent={"base.yaml": child}.get)
    assert [(d.file, d.code) for d in between.diagnostics] == [("base.yaml", "parent.not-read")]


def test_the_document_that_was_flattened_is_left_as_it_was() -> None:
    text = CHILD.replace("base.yaml}", "base.yaml, components: [{name: dev, container: {args: [1]}}]}")
    document = load(text)
    before = json.dumps(document.tree.root)
    assert flat(text, base=PARENT).broken
    flatten(document, read_parent=lambda _: PARENT)
    assert json.dumps(document.tree.root) == before


async def test_files_can_be_read_asynchronously() -> None:
    async def read(path: str) -> str:
        return {"base.yaml": PARENT}[path]

    assert (await flatten_async(load(CHILD), read_parent=read)).devfile == flat(CHILD, base=PARENT).devfile


def held(child: str, parent: str) -> None:
    try:
        document = load(child)
    except DevfileError:
        return
    found = flatten(document, read_parent=lambda path: parent if path == "base.yaml" else None)
    assert all(remark.code in LENIENT for remark in found.diagnostics)
    assert {remark.file for remark in found.diagnostics} <= {None, "base.yaml"}
    translate(found)
    check(found)
    if not found.broken and found.devfile.parent is None:
        assert load(to_yaml(found)).devfile == found.devfile


def inheriting(contents: Mapping[str, object]) -> str:
    overrides = contents.get("parent")
    return json.dumps(
        {**contents, "parent": {**(overrides if isinstance(overrides, dict) else {}), "uri": "base.yaml"}}
    )


OVERRIDING = st.tuples(DEVFILES, DEVFILES).map(
    lambda pair: {
        **pair[0],
        "parent": {k: v for k, v in pair[1].items() if k not in ("schemaVersion", "parent")},
    }
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(OVERRIDING, DEVFILES)
def test_anything_in_the_wrong_place_is_told_and_nothing_raises(
    child: dict[str, object], parent: dict[str, object]
) -> None:
    held(inheriting(child), json.dumps(parent))


@given(YAML_SOUP)
def test_any_text_may_be_a_parent(text: str) -> None:
    held(CHILD, text)


@given(
    st.lists(st.sampled_from(["..", ".", "a", "b.yaml", "", "~", "c:", "%2e%2e", "\\"]), min_size=1).map(
        "/".join
    )
)
def test_no_path_that_is_asked_for_leads_out(uri: str) -> None:
    asked: list[str] = []
    child = load(json.dumps({"schemaVersion": "2.2.0", "parent": {"uri": uri}}), file="x/y/devfile.yaml")
    flatten(child, read_parent=asked.append)
    for path in asked:
        assert not path.startswith("/")
        assert ".." not in path.split("/")


class TestFolder:
    """Files on this machine."""

    def test_a_repository_is_as_far_as_parents_may_be(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text(PARENT)
        file = tmp_path / "repo" / "app" / "devfile.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(CHILD)
        (tmp_path / "repo" / ".git").mkdir()
        (tmp_path / "repo" / "base.yaml").write_text(PARENT)
        folder = Folder.of(file)
        assert (folder.root, folder.path_of(file)) == (tmp_path / "repo", "app/devfile.yaml")
        assert folder.read("base.yaml") == PARENT.encode()
        assert folder.read("none.yaml") is None
        assert folder.read("app") is None
        assert folder.read("../base.yaml") is None

    def test_outside_of_a_repository_it_is_the_files_own_folder(self, tmp_path: Path) -> None:
        if any((place / ".git").exists() for place in tmp_path.parents):
            pytest.skip("the folder for temporary files is in a repository")
        assert Folder.of(tmp_path / "devfile.yaml").root == tmp_path

    def test_links_do_not_lead_out(self, tmp_path: Path) -> None:
        (tmp_path / "secret.yaml").write_text(PARENT)
        inside = tmp_path / "repo"
        inside.mkdir()
        (inside / "out.yaml").symlink_to(tmp_path / "secret.yaml")
        (inside / "loop.yaml").symlink_to(inside / "loop.yaml")
        (inside / "real.yaml").write_text(PARENT)
        (inside / "in.yaml").symlink_to("real.yaml")
        folder = Folder.of(inside / "devfile.yaml")
        assert folder.read("out.yaml") is None
        assert folder.read("loop.yaml") is None
        assert folder.read("in.yaml") == PARENT.encode()
