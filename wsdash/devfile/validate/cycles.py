"""Cycles among commands that run other commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def cycles(graph: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the nodes that can reach themselves. Takes time proportional to nodes and edges.

    Tarjan's strongly connected components, without recursion.
    """
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    edges = {node: [n for n in after if n in graph] for node, after in graph.items()}
    found: set[str] = set()
    path: list[str] = []
    on_path: set[str] = set()
    for root in graph:
        if root in order:
            continue
        work = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                order[node] = low[node] = len(order)
                path.append(node)
                on_path.add(node)
            next_nodes = edges[node]
            if position and next_nodes[position - 1] in on_path:
                low[node] = min(low[node], low[next_nodes[position - 1]])
            while position < len(next_nodes):
                child = next_nodes[position]
                position += 1
                if child not in order:
                    work += [(node, position), (child, 0)]
                    break
                if child in on_path:
                    low[node] = min(low[node], order[child])
            else:
                if low[node] == order[node]:
                    component = [path.pop()]
                    while component[-1] != node:
                        component.append(path.pop())
                    on_path.difference_update(component)
                    if len(component) > 1 or node in edges[node]:
                        found.update(component)
    return found
