"""Cycles of a graph."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsdash.devfile.validate.cycles import cycles

NODES = st.sampled_from("abcdef")


@given(st.dictionaries(NODES, st.lists(NODES, max_size=4), max_size=6))
def test_cycles_are_exactly_the_nodes_that_reach_themselves(graph: dict[str, list[str]]) -> None:
    def reached(start: str) -> set[str]:
        found: set[str] = set()
        new = set(graph.get(start, ()))
        while new - found:
            found |= new
            new = {after for node in found for after in graph.get(node, ())}
        return found

    assert cycles(graph) == {node for node in graph if node in reached(node)}
