"""A devfile with its parents: read one after another, merged, and the variables replaced.

Source: devfile/library, pkg/devfile/parser/parse.go. Only files beside the devfile are read here; nothing is
fetched over a network. Reading is the caller's: the walk asks for a path and is given what stands there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import replace

from wsdash.devfile.diagnostics import DevfileError, Diagnostic, bounded, show
from wsdash.devfile.document import Document, load
from wsdash.devfile.limits import MAX_PARENTS
from wsdash.devfile.merging import merge
from wsdash.devfile.models import Parent
from wsdash.devfile.structure import rebuild
from wsdash.devfile.tree import Finding, Object, Path, Tree, copied
from wsdash.devfile.variables import apply_variables

ReadParent = Callable[[str], "str | bytes | None"]
"""Gives the content of a file, None where there is none. The path is relative, and never leads out by `..`."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_COPY = "copy the parent's components and commands into this file, or keep the parent beside it as a file"

_Walk = Generator[str, "str | bytes | None", Document]


def flatten(
    document: Document,
    *,
    read_parent: ReadParent,
    path: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Document:
    """The devfile with its parents, overrides and variables applied. It has no parent any more.

    `path` is where the document stands among the files that `read_parent` gives, its `file` where None; parents
    are named by their paths from there. `variables` count more than the file's own. What goes wrong is in the
    document's `diagnostics`, those about a parent with its file. Raises only what `read_parent` raises.
    """
    walk = _flattening(document, path, variables)
    try:
        wanted = next(walk)
        while True:
            wanted = walk.send(read_parent(wanted))
    except StopIteration as end:
        return _result(end)


async def flatten_async(
    document: Document,
    *,
    read_parent: Callable[[str], Awaitable[str | bytes | None]],
    path: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Document:
    """As `flatten`, for files that are read asynchronously."""
    walk = _flattening(document, path, variables)
    try:
        wanted = next(walk)
        while True:
            wanted = walk.send(await read_parent(wanted))
    except StopIteration as end:
        return _result(end)


def _result(end: StopIteration) -> Document:
    document: Document = end.value
    return document


def _flattening(document: Document, path: str | None, variables: Mapping[str, str] | None) -> _Walk:
    if document.flat:
        return document
    start = posixpath.normpath(document.file if path is None else path)
    # A copy, for what an override has broken is taken out of the tree.
    own = replace(document, tree=Tree(copied(document.tree.root), document.tree.start))
    whole = yield from _with_parents(own, (start,))
    filled, remarks = apply_variables(whole, variables)
    return replace(filled, diagnostics=bounded([*whole.diagnostics, *remarks]), flat=True)


def _with_parents(document: Document, chain: tuple[str, ...]) -> _Walk:
    """`chain` holds the paths from the first document to this one."""
    named = document.devfile.parent
    if named is None:
        return document
    target = _target(named, chain)
    if isinstance(target, Finding):
        return _remarked(document, [document.locate(target)])
    content = yield target
    where: Path = ("parent", "uri")
    if content is None:
        missing = Finding("parent.missing", where, f"there is no file {show(target)}", "mend the path")
        return _remarked(document, [document.locate(missing)])
    try:
        parent = load(content, file=target)
    except DevfileError as error:
        return _remarked(document, [replace(remark, file=target) for remark in error.diagnostics])
    if parent.version > document.version:
        message = (
            f"the parent has schema {parent.version}, which is newer than this file's {document.version}"
        )
        newer = Finding("parent.newer", where, message, f"write schemaVersion: {parent.version}")
        document = _remarked(document, [document.locate(newer)])
    return _merged(document, (yield from _with_parents(_placed(parent), (*chain, target))))


def _target(parent: Parent, chain: tuple[str, ...]) -> str | Finding:
    """The path of the parent's file, or why it has none that could be read."""
    if parent.uri is None:
        if parent.kubernetes:
            message = "the parent is a resource in a Kubernetes cluster, which is not read"
            return Finding("parent.unsupported", ("parent", "kubernetes"), message, _COPY)
        message = f"the parent {show(parent.id)} is in a registry, and this version fetches nothing"
        return Finding("parent.remote", ("parent", "id"), message, _COPY)
    where: Path = ("parent", "uri")
    if found := _SCHEME.match(parent.uri):
        if found[0].lower() in ("http:", "https:"):
            message = f"the parent {show(parent.uri)} is elsewhere, and this version fetches nothing"
            return Finding("parent.remote", where, message, _COPY)
        message = f"the parent {show(parent.uri)} is neither a path nor a web address"
        return Finding("parent.unsupported", where, message, _COPY)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(chain[-1]), parent.uri))
    if not parent.uri.isprintable() or target == ".":
        return Finding("parent.path", where, f"{show(parent.uri)} is no path of a file", "name a file")
    if target.startswith("/") or target.split("/")[0] == "..":
        message = f"the parent {show(parent.uri)} is outside of the repository"
        return Finding("parent.path", where, message, "name a file inside of it, relative to this one")
    if target in chain:
        message = f"the parents lead in a circle: {show(target)} is read already"
        return Finding("parent.cycle", where, message, "take the parent out of one of them")
    if len(chain) > MAX_PARENTS:
        message = f"there are more than {MAX_PARENTS} parents above each other"
        return Finding("parent.too-deep", where, message, "merge some of them into one file")
    return target


def _placed(parent: Document) -> Document:
    """The parent's document, all of whose places say that they are in its file."""
    tree = Tree(copied(parent.tree.root, parent.file), parent.tree.start._replace(file=parent.file))
    diagnostics = tuple(replace(remark, file=parent.file) for remark in parent.diagnostics)
    return replace(parent, tree=tree, diagnostics=diagnostics)


def _merged(document: Document, parent: Document) -> Document:
    child_root, parent_root = document.tree.root, parent.tree.root
    assert isinstance(child_root, Object)
    assert isinstance(parent_root, Object)
    root, findings = merge(child_root, parent_root, parent.dropped)
    tree = Tree(root, document.tree.start)
    built = rebuild(tree, document.version)
    remarks = [*parent.diagnostics, *map(document.locate, findings), *built.diagnostics]
    return replace(
        _remarked(document, remarks),
        tree=tree,
        devfile=built.devfile,
        dropped=document.dropped | parent.dropped | built.dropped,
        inherits=parent.inherits,
        parents={**parent.parents, parent.file: parent.text},
    )


def _remarked(document: Document, remarks: Iterable[Diagnostic]) -> Document:
    return replace(document, diagnostics=bounded([*document.diagnostics, *remarks]))
