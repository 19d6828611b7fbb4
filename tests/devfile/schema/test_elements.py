"""Questions that the rules and the translation alike ask of a document."""

from __future__ import annotations

from tests.devfile.examples import devfile, loaded
from wsdash.devfile.schema.elements import containers, endpoints, is_unknown, names_known


def test_containers_and_endpoints_are_found_with_their_paths() -> None:
    document = loaded(
        devfile(
            container="endpoints: [{name: web, targetPort: 1}]",
            components="- {name: k, kubernetes: {inlined: x, endpoints: [{name: api, targetPort: 2}]}}\n"
            "- {name: v, volume: {}}",
        )
    )
    assert [(path, component.name) for path, component, _ in containers(document)] == [
        (("components", 0, "container"), "dev")
    ]
    assert [(path, endpoint.name) for path, _, endpoint in endpoints(document)] == [
        (("components", 0, "container", "endpoints", 0), "web"),
        (("components", 1, "kubernetes", "endpoints", 0), "api"),
    ]


def test_an_element_that_a_parent_may_bring_or_that_is_broken_is_not_unknown() -> None:
    assert is_unknown(loaded(devfile()), "db")
    assert not is_unknown(loaded(devfile("parent: {id: nodejs}\n")), "db")
    assert not is_unknown(loaded(devfile(components="- {name: db, container: {}}")), "db")


def test_the_known_names_are_listed_in_order_and_not_without_end() -> None:
    assert names_known("commands", []) == "there are no commands"
    assert names_known("commands", ["b", "a"]) == "known commands: a, b"
    assert names_known("commands", "ihgfedcba") == "known commands: a, b, c, d, e, f, g, h, ..."
