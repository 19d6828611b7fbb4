"""Reads Compose files (the Compose Specification) as far as jobs support them: one service is the workspace, the
others are additional containers.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from wsdash.devfile.devcontainer.interpolation import dotenv, interpolate
from wsdash.devfile.devcontainer.report import Report, plain_text
from wsdash.devfile.diagnostics import DevfileError, Diagnostic, show
from wsdash.devfile.parse.tree import START, Array, Finding, KeyPath, Mark, Object, Tree, Value, copied
from wsdash.devfile.parse.yaml_reader import read_yaml

MOST_FILES = 20
_Text = Callable[[str, KeyPath], str]
_KNOWN = frozenset(
    [
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "env_file",
        "volumes",
        "ports",
        "expose",
        "depends_on",
        "healthcheck",
        "container_name",
        "hostname",
        "restart",
        "init",
        "user",
        "network_mode",
        "networks",
        "profiles",
        "labels",
        "tty",
        "stdin_open",
        "working_dir",
        "platform",
    ]
)
_APPENDED = ("ports", "expose", "volumes", "env_file", "depends_on")


@dataclass(frozen=True, slots=True)
class ComposeService:
    """One service, with variables substituted. None in `env` means the value is from the user's machine."""

    name: str
    image: str | None
    is_built: bool
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    """Ports that it listens on, from `ports` and `expose`."""
    volumes: tuple[tuple[str, str], ...] = ()
    """Source and target of each mount; the source of an unnamed volume is empty."""
    user: str | None = None
    depends_on: tuple[str, ...] = ()
    path: KeyPath = ()


@dataclass(frozen=True, slots=True)
class Compose:
    """The services of all files together, and the parts that could not be read."""

    services: Mapping[str, ComposeService]
    volumes: frozenset[str]
    report: Report


def compose_files(root: Object, file: str) -> list[str]:
    """Return the paths of the compose files that a Dev Container names, from the repository's root.

    Paths that lead outside the repository are left out, and so are reported as missing.
    """
    value = root.get("dockerComposeFile")
    named = value if isinstance(value, Array) else [value]
    return [path for one in named[:MOST_FILES] if isinstance(one, str) and (path := sibling_path(file, one))]


def sibling_path(file: str, name: str) -> str | None:
    """Resolve `name` from the folder of `file`; None if the result is outside the repository."""
    if not name or name.startswith("/") or "\0" in name or "\\" in name:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
    return None if path == ".." or path.startswith("../") else path


def needed(files: list[str], have: Mapping[str, bytes | None]) -> list[str]:
    """Return the files that compose files need: `.env` in the first one's folder, and env_file of services."""
    if not files:
        return []
    names = [*files, posixpath.join(posixpath.dirname(files[0]), ".env")]
    for file in files:
        tree = _tree(have.get(file), file)[0]
        services = tree.root.get("services") if tree is not None and isinstance(tree.root, Object) else None
        for service in services.values() if isinstance(services, Object) else ():
            if isinstance(service, Object):
                names += [path for one in _env_files(service) if (path := sibling_path(file, one))]
    return list(dict.fromkeys(names))[: 2 * MOST_FILES]


def read_compose(files: list[str], have: Mapping[str, bytes | None]) -> Compose:
    """Merge the files, later ones over earlier ones. Errors go to the report."""
    environ = dotenv(have.get(posixpath.join(posixpath.dirname(files[0]), ".env"))) if files else {}
    merged, diagnostics = Object(), []
    for file in files:
        tree, found = _tree(have.get(file), file)
        diagnostics += found
        if tree is None or not isinstance(tree.root, Object):
            continue
        _merge(merged, _object(copied(tree.root, file)))
    report = Report(Tree(merged, START))
    report.diagnostics += diagnostics
    services = {
        name: _service(name, value, environ, files, have, report)
        for name, value in _object(merged.get("services")).items()
        if isinstance(value, Object)
    }
    return Compose(services, frozenset(_object(merged.get("volumes"))), report)


def _tree(data: bytes | None, file: str) -> tuple[Tree | None, list[Diagnostic]]:
    if data is None:
        message = f"the compose file {show(file)} is not in the repository"
        found = Finding("compose.missing", (), message, "correct dockerComposeFile").located(Tree(None))
        return None, [_in_file(found, file)]
    from wsdash.devfile.parse.reader import decode

    try:
        tree, diagnostics = read_yaml(decode(data))
    except DevfileError as error:
        return None, [_in_file(one, file) for one in error.diagnostics]
    if tree is None or not isinstance(tree.root, Object) or not isinstance(tree.root.get("services"), Object):
        message = f"{show(file)} is not a compose file: it has no services"
        found = Finding("compose.invalid", (), message, "begin it with services:").located(tree or Tree(None))
        return None, [_in_file(found, file)]
    return tree, [_in_file(one, file) for one in diagnostics if one.severity == "error"]


def _in_file(found: Diagnostic, file: str) -> Diagnostic:
    return Diagnostic(found.line, found.column, found.severity, found.code, found.message, found.hint, file)


def _object(value: Value) -> Object:
    return value if isinstance(value, Object) else Object()


def _merge(below: Object, above: Object) -> None:
    """Merge as Compose does for the keys used here: mappings recursively, some lists by joining."""
    for key, value in above.items():
        before = below.get(key)
        if isinstance(before, Object) and isinstance(value, Object):
            _merge(before, value)
        elif isinstance(before, Array) and isinstance(value, Array) and key in _APPENDED:
            for item, at in zip(value, value.items_at, strict=True):
                before.put(item, at)
        elif key == "environment" and before is not None and value is not None:
            both = Object()
            for one in (before, value):
                for name, text, at in _pairs(one):
                    both.put(name, text, at, at)
            below.put(key, both, above.keys_at[key], above.values_at[key])
        else:
            below.take(above, key)


def _pairs(value: Value) -> Iterator[tuple[str, str | None, Mark]]:
    """Return `environment`, a list or a mapping, as pairs; None means a value from the user's machine."""
    if isinstance(value, Object):
        for name, one in value.items():
            yield name, plain_text(one), value.values_at.get(name, START)
    elif isinstance(value, Array):
        for one, at in zip(value, value.items_at, strict=True):
            if isinstance(one, str):
                name, given, text = one.partition("=")
                yield name, text if given else None, at


def _env_files(service: Object) -> list[str]:
    value = service.get("env_file")
    listed = value if isinstance(value, Array) else [value]
    paths = [one.get("path") if isinstance(one, Object) else one for one in listed]
    return [path for path in paths if isinstance(path, str)]


def _service(
    name: str,
    value: Object,
    environ: Mapping[str, str],
    files: list[str],
    have: Mapping[str, bytes | None],
    report: Report,
) -> ComposeService:
    path: KeyPath = ("services", name)

    def text(raw: str, at: KeyPath) -> str:
        filled, missing = interpolate(raw, environ)
        for variable in missing:
            message = f"the variable {show(variable)} has no value here and is replaced by an empty text"
            report.add("compose.variable", at, message, "set it in the .env file next to the compose file")
        return filled

    def words(key: str) -> tuple[str, ...]:
        found = value.get(key)
        if isinstance(found, str):
            try:
                return tuple(shlex.split(text(found, (*path, key))))
            except ValueError:
                report.add(
                    "compose.ignored", (*path, key), f"{key} cannot be split into words", "write a list"
                )
                return ()
        items = found if isinstance(found, Array) else ()
        plain = [one for item in items if (one := plain_text(item)) is not None and "\0" not in one]
        return tuple(text(one, (*path, key)) for one in plain)

    env: dict[str, str | None] = {}
    for one in _env_files(value):
        place = sibling_path(files[0], one)
        data = have.get(place) if place else None
        if data is None:
            message = f"the env_file {show(one)} is not in the repository"
            report.add("compose.environment", (*path, "env_file"), message, "its variables are not set")
        env |= dotenv(data)
    env |= {
        key: None if raw is None else text(raw, (*path, "environment"))
        for key, raw, _ in _pairs(value.get("environment"))
    }
    ignored = [key for key in value if key not in _KNOWN and not key.startswith("x-")]
    if ignored:
        listed = ", ".join(show(key)[1:-1] for key in ignored[:8])
        message = (
            f"{show(name)}: {listed} {'is' if len(ignored) == 1 else 'are'} left out: the runner decides this"
        )
        report.add("compose.ignored", (*path, ignored[0]), message, "", on_key=True)
    if value.get("network_mode") is not None:
        message = f"{show(name)} has its own network: services reach each other by name, not by localhost"
        report.add("compose.network", (*path, "network_mode"), message, "use the service's name as the host")
    image = value.get("image")
    user = plain_text(value.get("user"))
    depends = value.get("depends_on")
    return ComposeService(
        name=name,
        image=text(image, (*path, "image")) or None if isinstance(image, str) else None,
        is_built="build" in value,
        entrypoint=words("entrypoint"),
        command=words("command"),
        env=env,
        ports=tuple(_ports(value, text, path)),
        volumes=tuple(_mounts(value, text, path)),
        user=text(user, (*path, "user")) if user else None,
        depends_on=tuple(str(one) for one in depends) if isinstance(depends, Object | Array) else (),
        path=path,
    )


def _ports(service: Object, text: _Text, path: KeyPath) -> Iterator[int]:
    for key in ("expose", "ports"):
        items = service.get(key)
        for item in items if isinstance(items, Array) else ():
            raw = item.get("target") if isinstance(item, Object) else item
            plain = plain_text(raw)
            if plain is None:
                continue
            number = text(plain, (*path, key)).rpartition(":")[2].partition("/")[0].partition("-")[0]
            if re.fullmatch(r"\d{1,5}", number, re.ASCII) and 1 <= int(number) <= 65535:
                yield int(number)


def _mounts(service: Object, text: _Text, path: KeyPath) -> Iterator[tuple[str, str]]:
    items = service.get("volumes")
    for item in items if isinstance(items, Array) else ():
        if isinstance(item, Object):
            source, target = plain_text(item.get("source")) or "", plain_text(item.get("target")) or ""
        elif isinstance(item, str):
            parts = text(item, (*path, "volumes")).split(":")
            source, target = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
        else:
            continue
        yield source, target
