"""`wsdash devfile`: check a devfile, flatten it, or print the job that it becomes."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TextIO

from wsdash.backend.errors import UserError
from wsdash.backend.git.hide_secrets import SecretHider
from wsdash.commands.console import DONE, FAILED, coloured, print_json, print_stderr
from wsdash.config.settings import GITLAB
from wsdash.devfile import (
    DevfileError,
    Diagnostic,
    Document,
    Folder,
    Profile,
    Translation,
    Verdict,
    caret,
    check,
    fetch,
    flatten,
    load,
    to_json,
    to_yaml,
    translate,
)
from wsdash.devfile.devcontainer import (
    is_devcontainer,
    load_devcontainer,
    missing_files,
    translate_devcontainer,
)
from wsdash.devfile.diagnostics import without_secrets
from wsdash.devfile.limits import MAX_BYTES
from wsdash.devfile.resolve.flatten import FetchParent
from wsdash.paths import Paths
from wsdash.sanitize import one_line
from wsdash.workload import Workload

COLOURS = {"error": 31, "warning": 33, "info": 36}


def devfile(args: Namespace, paths: Paths) -> int:
    """Run an action of `devfile`."""
    return {"check": _check, "flatten": _flatten, "render": _render}[args.action](args)


@dataclass
class _File:
    """A devfile of the command line with its parents, whose paths are shown relative to the current directory."""

    name: str
    offline: bool = False
    text: bytes = b""
    parents: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.text = _read(self.name)
        self.folder = Folder.of(Path(self.name))
        self.path = self.folder.path_of(Path(self.name))

    def read_parent(self, path: str) -> bytes | None:
        try:
            text = self.folder.read(path)
        except OSError as error:
            raise _unreadable(self.shown(path), error) from error
        if text is not None:
            self.parents[path] = text
        return text

    @property
    def fetch_parent(self) -> FetchParent | None:
        return None if self.offline else self._fetch

    def _fetch(self, url: str) -> bytes:
        self.parents[without_secrets(url)] = text = fetch(url)
        return text

    def shown(self, path: str) -> str:
        return path if path.startswith("https://") else os.path.relpath(self.folder.root / path)

    def named(self, remark: Diagnostic) -> Diagnostic:
        """Return the remark with the parent's path relative to the current directory."""
        return replace(remark, file=self.shown(remark.file)) if remark.file else remark

    def print_diagnostics(self, remarks: Iterable[Diagnostic], stream: TextIO) -> None:
        for remark in remarks:
            named = self.named(remark)
            print(_line(named.file or self.name, remark, colour=coloured(stream)), file=stream)
            text = self.parents.get(remark.file, b"") if remark.file else self.text
            for line in caret(text.decode(errors="replace"), remark).splitlines():
                print(f"    {line}", file=stream)
            if remark.hint:
                print(f"  {remark.hint}", file=stream)


def _check(args: Namespace) -> int:
    verdicts: list[tuple[_File, Verdict]] = []
    for name in args.files:
        file = _File(name, offline=not args.fetch)
        verdicts.append((file, _verdict(file, args.profile)))
    if args.json:
        print_json([_plain(file, verdict) for file, verdict in verdicts])
    else:
        for file, verdict in verdicts:
            file.print_diagnostics(verdict.diagnostics, sys.stdout)
            print(f"{verdict.file}: {verdict.verdict}")
    return FAILED if any(verdict.verdict == "reject" for _, verdict in verdicts) else DONE


def _verdict(file: _File, profile: Profile) -> Verdict:
    """Check the file. Profiles apply to devfiles only: a Dev Container is accepted if it can become a job."""
    if not is_devcontainer(file.name):
        return check(
            file.text,
            file=file.name,
            profile=profile,
            read_parent=file.read_parent,
            fetch_parent=file.fetch_parent,
            path=file.path,
        )
    try:
        found = _of_container(file)
    except DevfileError as error:
        return Verdict(file.name, "reject", error.diagnostics)
    return Verdict(file.name, "accept" if found.usable else "reject", found.diagnostics)


def _of_container(file: _File) -> Translation:
    """Translate a Dev Container with the files that it refers to. Raises `DevfileError`."""
    document = load_devcontainer(file.text, file=file.path)
    files: dict[str, bytes | None] = {}
    while missing := missing_files(document, files):
        files |= {name: file.read_parent(name) for name in missing}
    return translate_devcontainer(document, files=files)


def _plain(file: _File, verdict: Verdict) -> dict[str, object]:
    """Return the verdict as JSON; a remark has the key `file` only if it is about a parent."""
    remarks = [asdict(file.named(remark)) for remark in verdict.diagnostics]
    return {
        "file": verdict.file,
        "verdict": verdict.verdict,
        "diagnostics": [{k: v for k, v in remark.items() if k != "file" or v} for remark in remarks],
    }


def _flatten(args: Namespace) -> int:
    """Print the flat devfile on standard output, remarks on standard error."""
    file = _File(args.file, offline=args.offline)
    if is_devcontainer(file.name):
        raise UserError(f"{file.name} is a Dev Container, which has no parents", "Use check or render.")
    document = _flat(file)
    if document is None or not _print_remarks(file, document.diagnostics):
        return FAILED
    hider = SecretHider()
    print((to_json if args.json else to_yaml)(document, hider.of_devfile), end="")
    _print_left_out(hider, "Git needs them as a credential, or back in the file, to read that address.")
    return DONE


def _render(args: Namespace) -> int:
    """Print the job on standard output, remarks on standard error."""
    from wsdash.backend.job.render import render

    file = _File(args.file, offline=args.offline)
    translation = _translation(file)
    if translation is None or not _print_remarks(file, translation.diagnostics):
        return FAILED
    hider = SecretHider()
    workload = hider.of_workload(translation.workload)
    _print_left_out(hider, "The job of a workspace gets those that its commands need.")
    if args.provider == GITLAB:
        print(_pipeline(workload, args.name or "example"), end="")
        return DONE
    if args.name:
        print(f"# workspace {args.name}")
    print(render(workload), end="")
    return DONE


def _print_left_out(hider: SecretHider, hint: str) -> None:
    """Print one line that names the addresses whose credentials were left out."""
    if not hider.addresses:
        return
    first, *more = dict.fromkeys(hider.addresses)
    others = f" and {len(more)} more" if more else ""
    print_stderr(
        f"wsdash: left out: the user, password or token of the address {one_line(first)}{others}. {hint}"
    )


def _translation(file: _File) -> Translation | None:
    """Return the translation with its diagnostics; None, after printing the reason, if the file cannot be read."""
    if is_devcontainer(file.name):
        try:
            return _of_container(file)
        except DevfileError as error:
            file.print_diagnostics(error.diagnostics, sys.stderr)
            return None
    document = _flat(file)
    if document is None:
        return None
    found = translate(document)
    return replace(found, diagnostics=(*document.diagnostics, *found.diagnostics))


def _pipeline(workload: Workload, name: str) -> str:
    """Return the CI configuration of a first attempt in a context with default settings. Raises `UserError`."""
    from wsdash.backend.providers.gitlab.ci.config import Identity, NotRenderable, Options, render
    from wsdash.backend.providers.gitlab.ci.pipeline_name import attempt_key

    identity = Identity("example", name, attempt_key("example", 1, 1))
    try:
        return render(workload, identity, Options()).text
    except NotRenderable as error:
        raise UserError(str(error), "Change the devfile.") from error


def _flat(file: _File) -> Document | None:
    """Return the flat devfile; None, after printing the reason, if the file cannot be read."""
    try:
        document = load(file.text, file=file.name)
    except DevfileError as error:
        file.print_diagnostics(error.diagnostics, sys.stderr)
        return None
    return flatten(document, read_parent=file.read_parent, fetch_parent=file.fetch_parent, path=file.path)


def _print_remarks(file: _File, remarks: tuple[Diagnostic, ...]) -> bool:
    """Print the diagnostics; True if none is an error."""
    file.print_diagnostics(remarks, sys.stderr)
    return all(remark.severity != "error" for remark in remarks)


def _read(file: str) -> bytes:
    """Read at most one byte more than the size limit, which is enough to reject the file. Raises `UserError`."""
    try:
        with Path(file).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: str, error: OSError) -> UserError:
    return UserError(f"{file} cannot be read: {error.strerror}", "Give the path of a devfile.")


def _line(file: str, remark: Diagnostic, *, colour: bool) -> str:
    severity = f"\x1b[{COLOURS[remark.severity]}m{remark.severity}\x1b[0m" if colour else remark.severity
    return f"{file}:{remark.line}:{remark.column}: {severity}: {remark.message} ({remark.code})"
