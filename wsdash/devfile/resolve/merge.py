"""Merges two devfile trees: overrides a parent's elements, then adds the child's own.

Source: devfile/api, pkg/utils/overriding (a Kubernetes strategic merge). Mappings are merged key by key and
lists of named elements by name or id; any other value is replaced whole. Nothing is changed in place, and every
value keeps the place where it was written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from wsdash.devfile.diagnostics import show
from wsdash.devfile.parse.tree import Array, Finding, KeyPath, Mark, Object, Value
from wsdash.devfile.schema.fields import ONE_OF, OVERRIDES, fields_of
from wsdash.devfile.schema.models import Command, Devfile, Element
from wsdash.devfile.schema.wording import describe

_KEYED = ("attributes", "variables")
"""Top-level mappings whose keys count as elements: an override names one, and a child may not repeat one."""


def merge(
    child: Object, parent: Object, broken: frozenset[str] = frozenset()
) -> tuple[Object, list[Finding]]:
    """Return the child merged with its parent, and the conflicts of the two, at the child's paths.

    The parent is already flattened; a `parent` left in it could not be read, and stays. `broken` names elements
    that were removed from the parent; an override may still name them.
    """
    overrides = child.get("parent")
    findings: list[Finding] = []
    if isinstance(overrides, Object):
        if "parent" not in parent:
            findings += _unknown_overrides(parent, overrides, broken)
        parent = _overridden(parent, _known(parent, overrides), Devfile)
    findings += _repeats(parent, child)
    result = Object()
    for key in fields_of(Devfile):
        holder = child if key in child else parent
        if key == "parent":
            holder = parent
        elif key in parent and key in child and key in (*OVERRIDES, *_KEYED, "events"):
            result.put(key, _united(key, parent[key], child[key]), child.keys_at[key], child.values_at[key])
            continue
        elif key == "metadata":
            holder = child
        if key in holder:
            result.take(holder, key)
    return result, findings


_NEW = -1
"""The place of an element that the base does not have."""


def _key(model: type[Element]) -> str:
    return "id" if model is Command else "name"


def _names(value: Value, key: str) -> set[str]:
    return {name for item in value if (name := _name(item, key))} if isinstance(value, Array) else set()


def _known(parent: Object, overrides: Object) -> Object:
    """Return the overrides that name an element of the parent."""
    known = Object()
    for field, model in OVERRIDES.items():
        items, key = overrides.get(field), _key(model)
        names = _names(parent.get(field), key)
        chosen = Array()
        for item, at in zip(items, items.items_at, strict=True) if isinstance(items, Array) else ():
            if _name(item, key) in names:
                chosen.put(item, at)
        if chosen:
            known.put(field, chosen, overrides.keys_at[field], overrides.values_at[field])
    for field in _KEYED:
        values, own = overrides.get(field), parent.get(field)
        if isinstance(values, Object) and isinstance(own, Object):
            kept = Object()
            for name in values:
                if name in own:
                    kept.take(values, name)
            known.put(field, kept, overrides.keys_at[field], overrides.values_at[field])
    return known


def _unknown_overrides(parent: Object, overrides: Object, broken: frozenset[str]) -> Iterator[Finding]:
    """Report overrides of elements that the parent does not have."""
    hint = "write it outside parent, if the devfile itself defines it"
    for field, model in OVERRIDES.items():
        items, key = overrides.get(field), _key(model)
        names = _names(parent.get(field), key) | broken
        for index, item in enumerate(items if isinstance(items, Array) else ()):
            name = _name(item, key)
            if name and name not in names:
                path: KeyPath = ("parent", field, index)
                message = f"{describe(path, item)} overrides nothing: the parent has none of that name"
                yield Finding("parent.override", (*path, key), message, hint)
    for field in _KEYED:
        values, own = overrides.get(field), parent.get(field)
        for name in values if isinstance(values, Object) else ():
            if not isinstance(own, Object) or name not in own:
                message = f"the {field[:-1]} {show(name)} overrides nothing: the parent has none of that name"
                yield Finding("parent.override", ("parent", field, name), message, hint, True)


def _repeats(parent: Object, child: Object) -> Iterator[Finding]:
    """Report elements that both define. A child changes an element of its parent under `parent` only."""
    for field, model in OVERRIDES.items():
        items, key = child.get(field), _key(model)
        names = _names(parent.get(field), key)
        for index, item in enumerate(items if isinstance(items, Array) else ()):
            if _name(item, key) in names:
                message = f"the parent defines {describe((field, index), item)} already"
                hint = f"to change it, write it under parent.{field}; else give it another name"
                yield Finding("parent.conflict", (field, index, key), message, hint)
    for field in _KEYED:
        values, own = child.get(field), parent.get(field)
        if not isinstance(values, Object) or not isinstance(own, Object):
            continue
        for name in values:
            if name in own:
                message = f"the parent defines the {field[:-1]} {show(name)} already"
                hint = f"to change it, write it under parent.{field}"
                yield Finding("parent.conflict", (field, name), message, hint, True)


def _united(field: str, parent: Value, child: Value) -> Value:
    """Return the parent's part, then the child's additions. For a common element the parent's value has priority."""
    if isinstance(parent, Array) and isinstance(child, Array):
        model = OVERRIDES.get(field)
        taken = _names(parent, _key(model)) if model else {text for text in parent if isinstance(text, str)}
        items = Array()
        for source in (parent, child):
            for item, at in zip(source, source.items_at, strict=True):
                name = _name(item, _key(model)) if model else item
                if source is parent or name not in taken:
                    items.put(item, at)
        return items
    if isinstance(parent, Object) and isinstance(child, Object):
        mapping = Object()
        for key in dict.fromkeys([*parent, *child]):
            mapping.take(parent if key in parent else child, key)
            if field == "events" and key in parent and key in child:
                mapping[key] = _united(key, parent[key], child[key])
        return mapping
    return child


def _overridden(base: Object, patch: Object, model: type[Element]) -> Object:
    """Return the base with the patch's values; if the patch names another type of element, only that type's.

    An empty text or list counts as absent in this format, and overrides nothing.
    """
    choices = ONE_OF.get(model, ())
    replaced = [choice for choice in choices if choice not in patch] if patch.keys() & set(choices) else []
    fields = fields_of(model)
    result = Object()
    for key in base:
        if key not in replaced:
            result.take(base, key)
    for key, value in patch.items():
        old = result.get(key)
        inner = fields[key].model if key in fields else None
        if isinstance(old, Object) and isinstance(value, Object):
            result[key] = _overridden(old, value, inner) if inner else _overridden_map(old, value)
        elif inner and isinstance(old, Array) and isinstance(value, Array):
            result[key] = _overridden_list(old, value, inner)
        elif key not in result or (value != "" and value != []):
            result.take(patch, key)
    return result


def _overridden_map(base: Object, patch: Object) -> Object:
    """Merge variables, attributes, remotes or annotations value by value; null removes a key."""
    result = Object()
    for key in dict.fromkeys([*base, *patch]):
        if key not in patch or patch[key] is not None:
            result.take(patch if key in patch else base, key)
    return result


def _overridden_list(base: Array, patch: Array, model: type[Element]) -> Array:
    """Merge elements by name or id. The order is that of a strategic merge, which others may rely on.

    The order is the patch's; elements of the base alone come before those that followed them in the base.
    """
    key = _key(model)
    places: dict[str, int] = {}
    for index, item in enumerate(base):
        if name := _name(item, key):
            places.setdefault(name, index)
    changed: dict[int, Value] = {}
    ahead: list[tuple[int, Value, Mark]] = []
    for item, at in zip(patch, patch.items_at, strict=True):
        place = places.get(_name(item, key), _NEW)
        old = changed.get(place) or (base[place] if place != _NEW else None)
        if not isinstance(old, Object) or not isinstance(item, Object):
            ahead.append((_NEW, item, at))
            continue
        if place not in changed:
            ahead.append((place, None, base.items_at[place]))
        changed[place] = _overridden(old, item, model)
    result = Array()
    left = deque(index for index in range(len(base)) if index not in changed)
    for place, item, at in ahead:
        while left and left[0] < place:
            index = left.popleft()
            result.put(base[index], base.items_at[index])
        result.put(changed.get(place, item), at)
    for index in left:
        result.put(base[index], base.items_at[index])
    return result


def _name(item: Value, key: str) -> str:
    """Return the element's name, empty if it has none."""
    name = item.get(key) if isinstance(item, Object) else None
    return name if isinstance(name, str) else ""
