"""Flattens a devfile: reads its parents one after another, merges them, and replaces the variables.

Source: devfile/library, pkg/devfile/parser/parse.go. The caller reads and fetches: the walk asks for a path or
an https address and gets its text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

from wsdash.devfile.diagnostics import (
    DevfileError,
    Diagnostic,
    FetchError,
    bounded,
    show,
    without_secrets,
)
from wsdash.devfile.limits import MAX_PARENTS
from wsdash.devfile.parse.tree import Finding, KeyPath, Object, Tree, copied
from wsdash.devfile.resolve.merge import merge
from wsdash.devfile.resolve.variables import apply_variables
from wsdash.devfile.schema.document import Document, load
from wsdash.devfile.schema.models import Parent
from wsdash.devfile.schema.structure import rebuild

ReadParent = Callable[[str], "str | bytes | None"]
"""Returns the content of a file, None if there is none. The path is relative, and never leads outside by `..`."""

FetchParent = Callable[[str], "str | bytes"]
"""Returns the content of an https address. Raises `FetchError`."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_COPY = "copy the parent's components and commands into this file, or store the parent as a file next to it"

_HTTPS = "https://"

_Walk = Generator[str, "str | bytes | FetchError | None", Document]


def flatten(
    document: Document,
    *,
    read_parent: ReadParent,
    fetch_parent: FetchParent | None = None,
    path: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Document:
    """Return the devfile with its parents, overrides and variables applied. The result has no parent.

    `path` is the document's path among the files that `read_parent` reads, `None` for its `file`; parents are
    named by their paths from there. `fetch_parent` fetches parents by address and from a registry; without it
    each is an error. `variables` override the file's own. Problems are in the result's `diagnostics`, those
    about a parent with its file. Raises only the errors that `read_parent` raises, and those of `fetch_parent`
    other than `FetchError`.
    """
    walk = _flattening(document, path, variables, may_fetch=fetch_parent is not None)
    try:
        wanted = next(walk)
        while True:
            if fetch_parent is None or not wanted.startswith(_HTTPS):
                wanted = walk.send(read_parent(wanted))
                continue
            given: str | bytes | FetchError
            try:
                given = fetch_parent(wanted)
            except FetchError as error:
                given = error
            wanted = walk.send(given)
    except StopIteration as end:
        return _result(end)


async def flatten_async(
    document: Document,
    *,
    read_parent: Callable[[str], Awaitable[str | bytes | None]],
    fetch_parent: Callable[[str], Awaitable[str | bytes]] | None = None,
    path: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Document:
    """Do the same as `flatten`, for files that are read asynchronously."""
    walk = _flattening(document, path, variables, may_fetch=fetch_parent is not None)
    try:
        wanted = next(walk)
        while True:
            if fetch_parent is None or not wanted.startswith(_HTTPS):
                wanted = walk.send(await read_parent(wanted))
                continue
            given: str | bytes | FetchError
            try:
                given = await fetch_parent(wanted)
            except FetchError as error:
                given = error
            wanted = walk.send(given)
    except StopIteration as end:
        return _result(end)


def _result(end: StopIteration) -> Document:
    document: Document = end.value
    return document


def _flattening(
    document: Document, path: str | None, variables: Mapping[str, str] | None, *, may_fetch: bool
) -> _Walk:
    if document.flat:
        return document
    start = posixpath.normpath(document.file if path is None else path)
    # A copy, because elements that an override breaks are removed from the tree.
    own = replace(document, tree=Tree(copied(document.tree.root), document.tree.start))
    whole = yield from _with_parents(own, (start,), may_fetch)
    filled, remarks = apply_variables(whole, variables)
    return replace(filled, diagnostics=bounded([*whole.diagnostics, *remarks]), flat=True)


def _with_parents(
    document: Document, chain: tuple[str, ...], may_fetch: bool, *, of_registry: bool = False
) -> _Walk:
    """Merge the document's parents. `chain` has the paths from the first document to this one."""
    named = document.devfile.parent
    if named is None:
        return document
    target = _target(named, chain, may_fetch)
    if of_registry and named.uri is not None and _SCHEME.match(named.uri) is None:
        message = f"a registry has no files besides devfiles, so the parent {show(named.uri)} does not exist"
        target = Finding("parent.unsupported", ("parent", "uri"), message, _COPY)
    if isinstance(target, Finding):
        return _remarked(document, [document.locate(target)])
    content = yield target
    where: KeyPath = ("parent", "uri" if named.uri is not None else "id")
    if isinstance(content, FetchError):
        failed = Finding(
            "parent.fetch", where, f"the parent {show(target)} is not fetched: {content}", content.hint
        )
        return _remarked(document, [document.locate(failed)])
    if content is None:
        missing = Finding("parent.missing", where, f"there is no file {show(target)}", "fix the path")
        return _remarked(document, [document.locate(missing)])
    name = without_secrets(target)  # diagnostics show this name
    try:
        parent = load(content, file=name)
    except DevfileError as error:
        return _remarked(document, [replace(remark, file=name) for remark in error.diagnostics])
    if parent.version > document.version:
        message = (
            f"the parent has schema {parent.version}, which is newer than this file's {document.version}"
        )
        newer = Finding("parent.newer", where, message, f"write schemaVersion: {parent.version}")
        document = _remarked(document, [document.locate(newer)])
    above = _with_parents(_placed(parent), (*chain, target), may_fetch, of_registry=named.uri is None)
    return _merged(document, (yield from above))


def _target(parent: Parent, chain: tuple[str, ...], may_fetch: bool) -> str | Finding:
    """Return the path or address of the parent's file, or the reason why it cannot be read."""
    if parent.uri is None and parent.kubernetes:
        message = "the parent is a resource in a Kubernetes cluster, which is not read"
        return Finding("parent.unsupported", ("parent", "kubernetes"), message, _COPY)
    where: KeyPath = ("parent", "uri" if parent.uri is not None else "id")
    if not may_fetch and (parent.uri is None or parent.uri.lower().startswith(("http:", "https:"))):
        return Finding("parent.remote", where, "the parent has an address, and is not fetched here", _COPY)
    elsewhere = parent.uri is None or _is_elsewhere(parent.uri, chain[-1])
    target = _address(parent, chain[-1]) if elsewhere else _file(str(parent.uri), chain[-1])
    if isinstance(target, Finding):
        return target
    if elsewhere and (problem := _problem(target)):
        return Finding(
            "parent.unsupported", where, problem, "parents are fetched by https, without credentials"
        )
    if target in chain:
        message = f"the parents form a cycle: {show(target)} is already one of them"
        return Finding("parent.cycle", where, message, "remove the parent from one of them")
    if len(chain) > MAX_PARENTS:
        message = f"there are more than {MAX_PARENTS} parents in a chain"
        return Finding("parent.too-deep", where, message, "merge some of them into one file")
    return target


def _problem(url: str) -> str:
    """Return why the address cannot be fetched from; a password in it is not repeated."""
    try:
        place = urlsplit(url).netloc
    except ValueError:
        place = url if "@" in url else ""
    if "@" in place:
        return "an address with a user or a password is not fetched"
    # An invalid address must not be taken for the path of a file.
    sound = place and url.startswith(_HTTPS) and url.isprintable()
    return "" if sound else f"the parent {show(url)} is not a valid address"


def _is_elsewhere(uri: str, child: str) -> bool:
    """Whether the parent has an address, or is relative to one: a fetched parent cannot name local files."""
    return _SCHEME.match(uri) is not None or child.startswith(_HTTPS)


def _address(parent: Parent, child: str) -> str | Finding:
    """Return the address to fetch a parent from. A registry's parent is at its `devfiles/ID/VERSION`.

    A relative address is joined onto the whole path of its child's, the file's name included, and keeps its
    query: as devfile/library does (pkg/devfile/parser/parse.go, parseFromURI and getDevfileFromRegistry).
    """
    if parent.uri is None:
        registry = (parent.registry_url or "").rstrip("/")
        if not registry:
            message = f"the parent {show(parent.id)} is in a registry that is not named"
            return Finding(
                "parent.remote", ("parent", "id"), message, "add, for example: registryUrl: https://..."
            )
        if not registry.lower().startswith(_HTTPS):
            message = f"the registry {show(registry)} is not used: only https is supported"
            return Finding("parent.unsupported", ("parent", "registryUrl"), message, "use its https address")
        asked = "/".join(quote(part, safe="") for part in (str(parent.id), parent.version or "latest"))
        return f"{_HTTPS}{registry[len(_HTTPS) :]}/devfiles/{asked}"
    where: KeyPath = ("parent", "uri")
    if found := _SCHEME.match(parent.uri):
        if found[0].lower() == "https:":
            return f"https:{parent.uri[len('https:') :]}"
        problem = (
            "is not fetched: only https is supported"
            if found[0].lower() == "http:"
            else "is neither a path nor a web address"
        )
        return Finding("parent.unsupported", where, f"the parent {show(parent.uri)} {problem}", _COPY)
    parts = urlsplit(child)
    joined = posixpath.normpath(f"/{unquote(parts.path).lstrip('/')}/{parent.uri}")
    return parts._replace(path=quote(joined, safe="/$&+,:;=@")).geturl()


def _file(uri: str, child: str) -> str | Finding:
    """Return the path of a file relative to the child."""
    where: KeyPath = ("parent", "uri")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(child), uri))
    if not uri.isprintable() or target == ".":
        return Finding("parent.path", where, f"{show(uri)} is not the path of a file", "name a file")
    if target.startswith("/") or target.split("/")[0] == "..":
        message = f"the parent {show(uri)} is outside the repository"
        return Finding("parent.path", where, message, "name a file inside it, relative to this one")
    return target


def _placed(parent: Document) -> Document:
    """Return the parent's document with all of its places marked as in its file."""
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
