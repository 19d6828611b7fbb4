"""Finds a workspace's devfile or Dev Container, reads it with the files that it names, and translates it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from wsdash.backend.errors import UserError

if TYPE_CHECKING:
    from wsdash.backend.git.source import RepositoryFiles
    from wsdash.devfile import Diagnostic, Document, Folder, Translation
    from wsdash.devfile.devcontainer import DevContainer
    from wsdash.devfile.parse.tree import Mark
    from wsdash.workload import Source

T = TypeVar("T")
Fetch = Callable[[str], Awaitable[bytes]]
"""Fetches the content of an https address. Raises `wsdash.devfile.FetchError`."""
Read = Callable[[str], Awaitable["bytes | None"]]
"""Reads a file by its path from the repository's root; None if there is none."""


@dataclass(frozen=True, slots=True)
class Description:
    """A devfile or Dev Container; `path` None: the default one. `files` are the further files of a Dev Container."""

    path: str | None
    document: Document | DevContainer
    files: Mapping[str, bytes | None] = field(default_factory=dict)

    def translate(self, *, source: Source | None, main: str | None, image: str | None) -> Translation:
        """Translate it, with all remarks about the document. `image` replaces the document's image.

        Raises `UserError` for the first error, with its place.
        """
        from wsdash.devfile import Document, translate
        from wsdash.devfile.devcontainer import translate_devcontainer

        document = self.document
        if isinstance(document, Document):
            found = or_user_error(lambda: translate(document, source=source, main=main))
            workload = replace(found.workload, image=image) if image else found.workload
            found = replace(found, workload=workload, diagnostics=(*document.diagnostics, *found.diagnostics))
        else:
            found = translate_devcontainer(document, files=self.files, source=source, image=image)
        name = self.path or "the default devfile"
        refuse_errors(found.diagnostics, name, {**self._texts(), name: document.text})
        return found

    def _texts(self) -> dict[str, str]:
        """The texts of further files, by the names that remarks use for them."""
        from wsdash.devfile import Document

        if isinstance(self.document, Document):
            return dict(self.document.parents)
        return {name: data.decode(errors="replace") for name, data in self.files.items() if data is not None}

    def mark_of_service(self, name: str) -> Mark:
        """Return the place where a service container is described."""
        from wsdash.devfile import Document

        if not isinstance(self.document, Document):
            return self.document.tree.position(("dockerComposeFile",))
        names = [component.name for component in self.document.devfile.components]
        return self.document.position(*(("components", names.index(name)) if name in names else ()))


def fetcher(allowed_hosts: Collection[str] = (), ca_file: str | None = None) -> Fetch:
    """Return a function that fetches from public hosts, and from these hosts even in a private network."""

    async def get(url: str) -> bytes:
        from wsdash.devfile import fetch

        return await asyncio.to_thread(fetch, url, allowed_hosts=allowed_hosts, ca_file=ca_file)

    return get


async def describe(
    path: str, data: bytes, read: Read, fetch: Fetch, *, place: str | None = None
) -> Description:
    """Read the file's content, and the files that it names, by `read` and `fetch`.

    `path` is the user's name of the file; `place` its path from the root, if that differs. Raises
    `UserError`, and any error of `read`.
    """
    from wsdash.devfile import flatten_async, load
    from wsdash.devfile.devcontainer import is_devcontainer, load_devcontainer, missing_files

    text = data.decode(errors="replace")
    if is_devcontainer(path):
        container = or_user_error(lambda: load_devcontainer(data, file=place or path), text)
        files: dict[str, bytes | None] = {}
        while missing := missing_files(container, files):
            files |= {name: await read(name) for name in missing}
        return Description(path, container, files)
    document = or_user_error(lambda: load(data, file=path), text)
    return Description(path, await flatten_async(document, read_parent=read, fetch_parent=fetch, path=place))


async def described_in(seen: RepositoryFiles, wanted: str | None, fetch: Fetch) -> Description:
    """Describe a workspace by its repository: the wanted devfile, else the one found there, else the default devfile.

    A wanted file that is not in the repository is looked up on this machine. Raises `UserError`.
    """
    from wsdash.devfile import choose, default_document

    chosen = or_user_error(lambda: choose(seen.names)) if wanted is None else str(PurePosixPath(wanted))
    if chosen is None:
        return Description(None, default_document())
    data = await seen.read(chosen)
    if data is None and wanted is not None:
        return await described_here(wanted, fetch)
    return await describe(chosen, data or b"", seen.read, fetch)


async def described_here(wanted: str | None, fetch: Fetch) -> Description:
    """Describe a workspace by a local file, which may name others of its repository or folder."""
    from wsdash.devfile import default_document

    if wanted is None:
        return Description(None, default_document())
    try:
        path, data, place, folder = await asyncio.to_thread(_read_here, wanted)
        found = await describe(
            wanted, data, lambda name: asyncio.to_thread(folder.read, name), fetch, place=place
        )
    except OSError as error:
        raise UserError(
            f"the devfile {wanted} cannot be read: {error.strerror}",
            "Give its path in the repository, or of a file on this machine.",
            field="devfile",
        ) from None
    return replace(found, path=path)


def _read_here(wanted: str) -> tuple[str, bytes, str, Folder]:
    """Return a file's absolute path, its content, and its place in its repository or folder."""
    from wsdash.devfile import Folder

    path = Path(wanted).expanduser()
    folder = Folder.of(path)
    return str(path.absolute()), path.read_bytes(), folder.path_of(path), folder


def or_user_error(read: Callable[[], T], text: str = "") -> T:
    """Return the result of `read`; a `DevfileError` becomes a `UserError` that lists every problem."""
    from wsdash.devfile import DevfileError

    try:
        return read()
    except DevfileError as error:
        refuse_errors(error.diagnostics, error.file, {error.file: text})
        raise UserError(str(error), field="devfile") from error


def refuse_errors(diagnostics: Sequence[Diagnostic], file: str, texts: Mapping[str, str]) -> None:
    """Raises `UserError` if one of the diagnostics is an error. `texts` are those of the files, by name."""
    errors = [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]
    if not errors:
        return
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise UserError(
        f"{first.file or file}:{first.line}:{first.column}: {first.message}{more}",
        first.hint,
        field="devfile",
        details=tuple(
            line for diagnostic in diagnostics for line in _diagnostic_lines(diagnostic, file, texts)
        ),
    )


def _diagnostic_lines(diagnostic: Diagnostic, file: str, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the remark with its place, the line concerned, and the hint."""
    from wsdash.devfile import caret

    name = diagnostic.file or file
    yield f"{name}:{diagnostic.line}:{diagnostic.column}: {diagnostic.severity}: {diagnostic.message}"
    yield from (f"    {line}" for line in caret(texts.get(name, ""), diagnostic, 70).splitlines())
    if diagnostic.hint:
        yield f"  {diagnostic.hint}"
