"""`{{variables}}`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.devfile.examples import codes, devfile, places, remarks
from wsdash.devfile import check, load
from wsdash.devfile.resolve.variables import apply_variables, substitute

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-.", min_size=1, max_size=10)


def test_blanks_around_the_name_do_not_matter() -> None:
    assert substitute("{{x}}/{{ x }}/{{\n x\t}}", {"x": "1"}) == ("1/1/1", ())


def test_an_unknown_name_stays_and_is_named() -> None:
    assert substitute("docker ps --format {{.Names}} {{x}}", {"x": "1"}) == (
        "docker ps --format {{.Names}} 1",
        (".Names",),
    )


def test_braces_that_never_close_or_span_lines_are_text() -> None:
    assert substitute("{{x} {{", {"x": "1"}) == ("{{x} {{", ())
    assert substitute("{{a\nb}} {{x}}", {"x": "1", "a\nb": "2"}) == ("{{a\nb}} 1", ())


@given(st.dictionaries(NAMES, st.text(), max_size=4), NAMES)
def test_substitution_is_one_pass(values: dict[str, str], name: str) -> None:
    """The value of a variable is never scanned for references again."""
    values[name] = "{{" + name + "}}"
    assert substitute("{{" + name + "}}", values) == ("{{" + name + "}}", ())


@given(st.lists(st.one_of(st.text("ab {}\n", max_size=8), NAMES.map(lambda n: "{{" + n + "}}"))))
def test_without_variables_nothing_changes(parts: list[str]) -> None:
    text = "".join(parts)
    assert substitute(text, {})[0] == text


@given(
    st.lists(st.tuples(st.text("ab \n", max_size=5), NAMES), max_size=5), st.dictionaries(NAMES, st.text())
)
def test_each_reference_is_replaced_by_its_value(
    parts: list[tuple[str, str]], values: dict[str, str]
) -> None:
    text = "".join(f"{before}{{{{{name}}}}}" for before, name in parts)
    expected = "".join(before + values.get(name, "{{" + name + "}}") for before, name in parts)
    assert substitute(text, values)[0] == expected


def test_variables_are_replaced_in_the_documented_fields_only() -> None:
    text = devfile(
        """
        variables: {v: "1"}
        commands:
          - id: run
            exec:
              {component: dev, commandLine: "a {{v}}", workingDir: "/{{v}}", label: "{{v}}", env: [
                {name: "E{{v}}", value: "{{v}}"}]}
        projects:
          - {name: p, clonePath: "{{v}}", git: {remotes: {"o{{v}}": "https://h/{{v}}"}}}
        metadata: {description: "{{v}}"}
        """,
        container='args: ["{{v}}"]\nmemoryLimit: "{{v}}Gi"\nendpoints: [{name: e, targetPort: 1, path: "/{{v}}"}]',
    )
    document, diagnostics = apply_variables(load(text))
    assert diagnostics == []
    container, command, project = (
        document.devfile.components[0].container,
        document.devfile.commands[0].exec,
        document.devfile.projects[0],
    )
    assert container is not None and command is not None and project.git is not None
    assert (container.args, container.memory_limit, container.endpoints[0].path) == (("1",), "1Gi", "/1")
    assert (command.command_line, command.working_dir, command.label) == ("a 1", "/1", "1")
    assert [(entry.name, entry.value) for entry in command.env] == [("E1", "1")]
    assert (project.clone_path, project.git.remotes) == ("1", {"o1": "https://h/1"})
    assert document.devfile.metadata is not None and document.devfile.metadata.description == "{{v}}"


def test_an_unknown_variable_is_a_warning_in_a_command_and_an_error_in_an_image() -> None:
    text = devfile("commands: [{id: ps, exec: {component: dev, commandLine: 'ps {{.Names}}'}}]\n")
    assert [(d.severity, d.code) for d in remarks(text)] == [("warning", "variable.undefined")]
    text = text.replace("image: debian", "image: debian:{{tag}}")
    found = remarks(text)[0]
    assert (found.line, found.column, found.severity, found.code) == (
        5,
        14,
        "error",
        "variable.undefined-in-image",
    )


def test_values_from_outside_count_more_than_the_files_own() -> None:
    text = devfile("variables: {tag: a}\n").replace("debian", "'debian:{{tag}}'")
    document, _ = apply_variables(load(text), {"tag": "b"})
    container = document.devfile.components[0].container
    assert container is not None and container.image == "debian:b"
    assert check(text.replace("variables: {tag: a}\n", ""), variables={"tag": "b"}).verdict == "accept"


def test_schema_2_0_0_has_no_variables() -> None:
    text = devfile(container='args: ["{{x}}"]', version="2.0.0")
    assert codes(text) == []
    assert apply_variables(load(text))[0] == load(text)


def test_cpu_variables_are_replaced_with_a_warning_because_other_tools_leave_them() -> None:
    text = devfile("variables: {cpu: '2'}\n", container="cpuLimit: '{{cpu}}'")
    assert places(text) == [(6, 17, "variable.cpu")]
    assert check(text).verdict == "accept"


def test_variables_cannot_blow_the_document_up() -> None:
    text = devfile(f"variables: {{x: {'y' * 100_000}}}\n", container=f"args: ['{'{{x}}' * 1000}']")
    assert codes(text) == ["variable.too-large"]
