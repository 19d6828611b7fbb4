"""A child's overrides, merged into its parent. The expected merges are the reference parser's (devfile/api)."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.devfile.resolve.children import CHILD, content, flat

MERGES: dict[str, tuple[str, str, str]] = {
    "overridden elements keep their place": (
        "components: [{name: a, container: {image: x}}, {name: b, container: {image: x}}]",
        "components: [{name: b, container: {image: w}}]",
        "components: [{name: a, container: {image: x}}, {name: b, container: {image: w}}]",
    ),
    "lists of named elements merge by name, new ones and overridden ones in the override's order": (
        "components: [{name: a, container: {image: x, env: [{name: A, value: '1'}, {name: B, value: '1'},"
        " {name: C, value: '1'}]}}]",
        "components: [{name: a, container: {env: [{name: D, value: '2'}, {name: C, value: '2'},"
        " {name: A, value: '2'}]}}]",
        "components: [{name: a, container: {image: x, env: [{name: D, value: '2'}, {name: B, value: '1'},"
        " {name: C, value: '2'}, {name: A, value: '2'}]}}]",
    ),
    "endpoints merge, and their attributes": (
        "components: [{name: a, container: {image: x, endpoints: [{name: p, targetPort: 1, attributes: {a: b}}]}}]",
        "components: [{name: a, container: {endpoints: [{name: p, exposure: none, attributes: {c: d}}]}}]",
        "components: [{name: a, container: {image: x, endpoints: [{name: p, targetPort: 1, exposure: none,"
        " attributes: {a: b, c: d}}]}}]",
    ),
    "lists of texts are replaced whole": (
        "commands: [{id: a, composite: {commands: [b, c]}}]",
        "commands: [{id: a, composite: {commands: [d]}}]",
        "commands: [{id: a, composite: {commands: [d]}}]",
    ),
    "another type replaces the type": (
        "components: [{name: a, attributes: {q: 1}, container: {image: x}}]",
        "components: [{name: a, volume: {size: 1Gi}}]",
        "components: [{name: a, attributes: {q: 1}, volume: {size: 1Gi}}]",
    ),
    "another source replaces the source and leaves the rest": (
        "components: [{name: a, image: {imageName: x, dockerfile: {uri: D, args: [a], buildContext: c}}}]",
        "components: [{name: a, image: {dockerfile: {git: {remotes: {o: u}}, args: [b]}}}]",
        "components: [{name: a, image: {imageName: x, dockerfile: {git: {remotes: {o: u}}, args: [b],"
        " buildContext: c}}}]",
    ),
    "plain mappings merge key by key": (
        "projects: [{name: a, git: {remotes: {o: u}, checkoutFrom: {revision: r}}}]",
        "projects: [{name: a, git: {remotes: {p: v}, checkoutFrom: {remote: o}}}]",
        "projects: [{name: a, git: {remotes: {o: u, p: v}, checkoutFrom: {revision: r, remote: o}}}]",
    ),
    "an attribute is replaced whole, and null takes it away": (
        "attributes: {m: {a-b: 1, c: [1]}, n: 1, o: 1}",
        "attributes: {m: {c: [2]}, n: null}",
        "attributes: {m: {c: [2]}, o: 1}",
    ),
    "an empty text or list overrides nothing, false does": (
        "components: [{name: a, container: {image: x, memoryLimit: 1Gi, args: [a], dedicatedPod: true}}]",
        "components: [{name: a, container: {memoryLimit: '', args: [], dedicatedPod: false}}]",
        "components: [{name: a, container: {image: x, memoryLimit: 1Gi, args: [a], dedicatedPod: false}}]",
    ),
    "variables": ("variables: {a: '1', b: '2'}", "variables: {a: '3'}", "variables: {a: '3', b: '2'}"),
}


@pytest.mark.parametrize("rule", MERGES)
def test_overrides_are_a_strategic_merge(rule: str) -> None:
    parent, overrides, expected = (yaml.safe_load(text) for text in MERGES[rule])
    version = {"schemaVersion": "2.2.2"}
    child = json.dumps({**version, "parent": {"uri": "base.yaml", **overrides}})
    document = flat(child, base=json.dumps({**version, **parent}))
    assert document.diagnostics == ()
    assert content(document) == {**version, **expected}


@pytest.mark.parametrize(
    ("image", "fits"),
    [
        ("{imageName: b}", False),
        ("{imageName: b, autoBuild: true}", True),
        ("{dockerfile: {uri: D}}", True),
        ("{dockerfile: {uri: D}, autoBuild: true}", False),
    ],
)
def test_an_override_of_an_image_has_one_of_dockerfile_and_auto_build(image: str, fits: bool) -> None:
    """As the schema says for overrides; a component that is not overridden needs its dockerfile."""
    child = CHILD.replace("base.yaml}", f"base.yaml, components: [{{name: app, image: {image}}}]}}")
    base = "schemaVersion: 2.2.0\ncomponents: [{name: app, image: {imageName: a, dockerfile: {uri: D}}}]\n"
    codes = [found.code for found in flat(child, base=base).diagnostics]
    assert codes == ([] if fits else ["schema.override-type"])
