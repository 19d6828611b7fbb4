"""The schema: what a devfile's elements look like, and what is said where one does not."""

from __future__ import annotations

import pytest

from tests.devfile.examples import codes, column_of, devfile, places, remarks
from wsdash.devfile import DevfileError, check, default_document, load, translate
from wsdash.devfile.schema.fields import VERSIONS


@pytest.mark.parametrize("version", [*VERSIONS, "2.2.0-latest", "2.1.0-alpha.1"])
def test_every_version_with_a_schema_is_accepted(version: str) -> None:
    assert codes(devfile(version=version)) == []
    assert load(devfile(version=version)).version == version.partition("-")[0]


@pytest.mark.parametrize("version", ["2.4.0", "2.2.3", "2.2.0+build", "2.2.0-Latest", "2"])
def test_another_version_2_is_an_error_and_the_rest_is_checked_all_the_same(version: str) -> None:
    text = devfile(version=f"'{version}'", container="memoryLimit: lots")
    assert places(text)[0] == (1, 16, "schema.version")
    assert codes(text) == ["schema.version", "quantity.invalid"]


@pytest.mark.parametrize("version", ["10.0.0", "1.0.0", "3.0.0", "two"])
def test_any_other_version_ends_the_reading(version: str) -> None:
    with pytest.raises(DevfileError, match="no devfile schema has the version"):
        load(devfile(version=version))


def test_a_version_written_as_a_number_is_answered_with_how_to_write_it() -> None:
    found = remarks(devfile(version="2.1"))[0]
    assert (found.code, found.hint) == (
        "schema.wrong-type",
        "write all three parts, for example: schemaVersion: 2.1.0",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("apiVersion: 1.0.0\nmetadata: {generateName: x-}\n", "version 1"),
        ("apiVersion: workspace.devfile.io/v1alpha2\nkind: DevWorkspace\nspec: {}\n", "Kubernetes resource"),
        ("name: Joe\n", "neither schemaVersion nor components"),
        ("- a\n- b\n", "mapping"),
        ("just words\n", "mapping"),
    ],
)
def test_files_that_are_taken_for_devfiles_are_named(text: str, says: str) -> None:
    with pytest.raises(DevfileError, match=says) as raised:
        load(text)
    assert [d.code for d in raised.value.diagnostics] == ["schema.not-a-devfile"]


def test_a_devfile_without_its_version_is_checked_as_the_newest() -> None:
    text = devfile(container="argz: []").removeprefix("schemaVersion: 2.2.0\n")
    assert codes(text) == ["schema.missing-field", "schema.unknown-field"]


def test_unknown_fields_are_warnings_but_free_where_the_schema_is_open() -> None:
    text = devfile("metadata: {name: x, owner: me}\nattributes: {a: {b: [1, null]}}\n")
    assert codes(text) == []
    assert check(devfile("extra: 1\n")).verdict == "accept"


@pytest.mark.parametrize(
    ("component", "says"),
    [
        ("- {name: x}", "needs one of: container, volume, kubernetes, openshift, image"),
        ("- {name: x, volume: {}, container: {image: a}}", "has container and volume"),
        ("- {name: x, kubernetes: {}}", "needs one of: uri, inlined"),
        (
            "- {name: x, image: {imageName: a, dockerfile: {uri: a, git: {remotes: {o: u}}}}}",
            "has uri and git",
        ),
    ],
)
def test_an_element_has_exactly_one_type(component: str, says: str) -> None:
    [found] = remarks(devfile(components=component))
    assert (found.line, found.code) == (6, "schema.one-of")
    assert says in found.message


def test_github_projects_of_2_0_0_pass_as_in_the_reference_parser() -> None:
    projects = "projects: [{name: a, github: {remotes: {o: u}}}]\n"
    assert check(devfile(projects, version="2.0.0")).verdict == "accept"
    assert check(devfile(projects, version="2.1.0")).verdict == "reject"


@pytest.mark.parametrize(
    ("version", "metadata", "verdict"),
    [
        ("2.1.0", "architectures: [.NET]", "accept"),
        ("2.2.0", "architectures: [.NET]", "reject"),
        ("2.1.0", "architectures: [amd64, amd64]", "accept"),
        ("2.2.0", "architectures: [amd64, amd64]", "reject"),
        ("2.0.0", "language: null", "accept"),
        ("2.1.0", "language: null", "reject"),
        ("2.0.0", "language: 3", "reject"),
        ("2.1.0", "provider: null", "accept"),
        ("2.2.0", "provider: null", "reject"),
    ],
)
def test_metadata_of_a_newer_schema_is_free_but_for_its_type(
    version: str, metadata: str, verdict: str
) -> None:
    text = f"schemaVersion: {version}\nmetadata: {{{metadata}}}\n"
    assert check(text, profile="library").verdict == verdict


def test_every_problem_is_found_at_once_and_the_sound_rest_is_read() -> None:
    text = devfile(
        """
        commands:
        - {id: Bad, exec: {component: dev, commandLine: x}}
        - {id: good, exec: {component: dev, commandLine: x, env: [{name: A}, {name: B, value: b}]}}
        - exec
        events: {postStart: [good, 1, bad]}
        """,
        components="- {name: broken, container: {imag: x}}\n- {name: vol, volume: {size: 1}}",
        container="memoryLimit: lots",
    )
    assert codes(text) == [
        "quantity.invalid",
        "schema.missing-field",
        "schema.unknown-field",
        "schema.wrong-type",
        "schema.bad-name",
        "schema.missing-field",
        "schema.wrong-type",
        "schema.wrong-type",
        "reference.missing",
    ]
    content = load(text).devfile
    assert [c.name for c in content.components] == ["dev", "vol"]
    assert [c.id for c in content.commands] == ["good"]
    good = content.commands[0].exec
    assert good is not None and [e.name for e in good.env] == ["B"]
    assert content.events is not None and content.events.post_start == ("good", "bad")


def test_references_to_a_broken_element_are_no_second_error() -> None:
    text = devfile(
        "commands: [{id: a, exec: {component: db, commandLine: x}}]\n",
        components="- {name: db, container: {}}",
    )
    assert codes(text) == ["schema.missing-field"]


def test_places_stay_right_after_broken_elements_are_taken_out() -> None:
    text = devfile(components="- {name: broken, container: {}}\n- {name: db, container: {image: 'a b'}}")
    assert places(text)[1] == (*column_of(text, "'a b'"), "image.invalid")


def test_an_element_repeated_by_an_alias_is_taken_out_once() -> None:
    text = devfile(
        "commands:\n- &c {id: a, exec: {component: dev}}\n- *c\n- {id: b, exec: {component: dev, commandLine: x}}\n"
    )
    assert [c.id for c in load(text).devfile.commands] == ["b"]


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        ("{id: a, uri: b}", ["schema.one-of"]),
        ("{id: a, version: x}", ["parent.not-read", "schema.wrong-value"]),
        ("{id: a, components: [{name: x, container: {memoryLimit: 1Gi}}]}", ["parent.not-read"]),
        ("{id: a, components: [{container: {memoryLimit: 1}}]}",
         ["parent.not-read", "schema.missing-field", "schema.wrong-type"]),
        ("{id: a, commands: [{id: x, exec: {comandLine: z}}]}", ["parent.not-read", "schema.unknown-field"]),
    ],
)  # fmt: skip
def test_overrides_of_a_parent_need_only_a_name(parent: str, expected: list[str]) -> None:
    assert codes(devfile(f"parent: {parent}\nevents: {{postStart: [inherited]}}\n")) == expected


def test_the_default_devfile_is_valid_and_its_image_can_be_chosen() -> None:
    assert check(default_document()).verdict == "accept"
    assert check(default_document()).diagnostics == ()
    translation = translate(default_document())
    assert translation.main == "development-environment"
    assert translation.diagnostics == ()
    assert translate(default_document("debian:12")).workload.image == "debian:12"


def test_a_profile_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no profile 'strict'; known: lenient, library, gitlab"):
        check(devfile(), profile="strict")  # type: ignore[arg-type]
