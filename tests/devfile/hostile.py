"""Texts that a repository could hold to do harm, and what must hold for every text whatever."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import strategies as st

from wsdash.backend.job.render import render
from wsdash.devfile import DevfileError, check, load, translate
from wsdash.devfile.codes import LENIENT
from wsdash.devfile.devcontainer import load_devcontainer, missing_files, translate_devcontainer
from wsdash.devfile.devcontainer.translation import PROPERTIES as CONTAINER_KEYS

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


VALID = """\
schemaVersion: 2.2.0
metadata: {name: web, version: 1.0.0}
variables: {tag: "12"}
components:
- name: dev
  container:
    image: debian:{{tag}}
    memoryLimit: 1Gi
    env: [{name: A, value: "1"}]
    endpoints: [{name: http, targetPort: 8080}]
    volumeMounts: [{name: data, path: /data}]
- {name: data, volume: {size: 1Gi}}
- {name: db, container: {image: postgres, args: [-c, fsync=off]}}
commands:
- {id: one, exec: {component: dev, commandLine: make one, workingDir: "${PROJECT_SOURCE}"}}
- {id: both, composite: {commands: [one], parallel: true}}
events: {postStart: [both]}
"""
HOSTILE = st.sampled_from(
    [
        "'",
        '"',
        "$(id)",
        "`id`",
        "\n",
        "\r",
        "]]",
        "\x1b[2J",
        "\u202e",
        "\x85",
        "\ufeff",
        "\0",
        "|",
        "&a",
        "*a",
        "é漢🙂",
        ": ",
        "#",
    ]
)


@st.composite
def changed_devfiles(draw: st.DrawFn) -> str:
    """A sound devfile with a few characters taken out, doubled, swapped, or put in."""
    text = VALID
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        piece, kind = text[at : at + length], draw(st.sampled_from(["cut", "double", "move", "hostile"]))
        rest = text[:at] + text[at + length :]
        if kind == "cut":
            text = rest
        elif kind == "double":
            text = text[:at] + piece + text[at:]
        elif kind == "move":
            other = draw(st.integers(0, len(rest)))
            text = rest[:other] + piece + rest[other:]
        else:
            text = text[:at] + draw(HOSTILE) + text[at:]
    return text


ANY_JSON = st.recursive(
    SCALARS
    | st.sampled_from(
        ["${localEnv:A}", "${containerEnv:PATH}", "${containerWorkspaceFolder}", "x=y", "c.yml", "app"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)
CONTAINERS = st.dictionaries(st.sampled_from(sorted(CONTAINER_KEYS)), ANY_JSON, max_size=8).map(json.dumps)
_SERVICE = (
    "image", "build", "command", "entrypoint", "environment", "env_file", "volumes", "ports", "expose",
    "depends_on", "user",
)  # fmt: skip
_APP = st.dictionaries(st.sampled_from(_SERVICE), ANY_JSON, max_size=6)
COMPOSE = st.fixed_dictionaries(
    {"services": st.fixed_dictionaries({"app": _APP}, optional={"db": ANY_JSON})},
    optional={"volumes": ANY_JSON},
).map(json.dumps)


def held(text: str | bytes) -> None:
    """`check` and `translate` return, and everything they say is well formed."""
    verdict = check(text)
    assert (verdict.verdict == "reject") == any(d.severity == "error" for d in verdict.diagnostics)
    try:
        document = load(text)
        translation = translate(document)
        output = [*verdict.diagnostics, *translation.diagnostics]
        if translation.usable and verdict.verdict == "accept":
            render(translation.workload)
    except DevfileError as error:
        output = list(error.diagnostics)
        assert verdict.verdict == "reject"
    for diagnostic in output:
        assert diagnostic.code in LENIENT
        assert diagnostic.line >= 1 and diagnostic.column >= 1
        assert (diagnostic.message + diagnostic.hint).isprintable() or "\ufffd" in diagnostic.message
        assert "\n" not in diagnostic.message + diagnostic.hint
        assert len(diagnostic.message) < 600


def held_like_a_devfile(text: str) -> None:
    held(text)
    held("schemaVersion: 2.2.0\n" + text)


def held_as_json(content: dict[str, object]) -> None:
    held(json.dumps(content))


def held_by_a_container(text: str | bytes) -> None:
    """The same of a Dev Container without files beside it."""
    held_by_containers((text, ""))


def held_by_containers(texts: tuple[str | bytes, str]) -> None:
    """The same of a Dev Container, whose compose file is the second text."""
    try:
        document = load_devcontainer(texts[0])
    except DevfileError as error:
        assert all(d.line >= 1 for d in error.diagnostics)
        return
    files: dict[str, bytes | None] = {}
    while missing := missing_files(document, files):
        files |= {name: texts[1].encode("utf-8", "replace") for name in missing}
    found = translate_devcontainer(document, files=files)
    for diagnostic in found.diagnostics:
        assert diagnostic.code in LENIENT
        assert diagnostic.line >= 1 and diagnostic.column >= 1
        assert "\n" not in diagnostic.message + diagnostic.hint
        assert "\x1b" not in diagnostic.message + diagnostic.hint
    if found.usable:
        render(found.workload)


PROPERTIES: tuple[tuple[st.SearchStrategy[object], Callable[..., None]], ...] = (
    (st.text(), held),
    (st.binary(), held),
    (YAML_SOUP, held_like_a_devfile),
    (DEVFILES, held_as_json),
    (changed_devfiles(), held),
    (st.text() | st.binary(), held_by_a_container),
    (CONTAINERS, held_by_a_container),
    (st.tuples(CONTAINERS, COMPOSE | YAML_SOUP), held_by_containers),
)
"""Checks that must hold for each of many examples."""
