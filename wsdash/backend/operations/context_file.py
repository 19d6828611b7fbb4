"""Contexts in config.toml: adding, removing, and choosing the default one. All of it blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

from wsdash.backend.access.listening import plain_host
from wsdash.backend.errors import UserError, as_failure
from wsdash.backend.system.files import atomic
from wsdash.config.settings import (
    GITLAB,
    LOCAL,
    Access,
    Config,
    ConfigError,
    Context,
    GitLabSettings,
    load_config,
    parse_config,
    read_config,
)
from wsdash.config.toml_edit import quoted, with_table, with_top_level, with_values, without_table
from wsdash.paths import Paths, make_folder

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
HOST = re.compile(r"[A-Za-z0-9_\[:][A-Za-z0-9_.:%\]-]*")
"""Names, and addresses of IPv4 and IPv6."""


def read(paths: Paths) -> Config:
    """Return config.toml. Raises `UserError`."""
    try:
        return load_config(paths.config_file)
    except ConfigError as error:
        raise UserError(str(error), "") from error


def hosts_of(context: Context) -> tuple[tuple[str, ...], str | None]:
    """Return hosts that may serve parents of devfiles even in a private network, and the CA file to trust for them."""
    if context.gitlab is None:
        return context.allowed_hosts, None
    host = urlsplit(context.gitlab.url).hostname or ""
    return (host, *context.allowed_hosts), context.gitlab.ca_file


def settings_of(text: Mapping[str, object], name: str) -> GitLabSettings:
    """Build settings from the user's input, checked as config.toml is. Raises `UserError`."""
    values = {key: value for key, value in text.items() if value not in (None, "", (), [])}
    document = with_table("", ("contexts", name), {"provider": GITLAB, **values})
    try:
        found = parse_config(document, Path("the context")).contexts[name].gitlab
    except ConfigError as error:
        reason = str(error).removeprefix("the context").lstrip(", ").partition(": ")[2] or str(error)
        raise UserError(reason, "") from error
    assert found is not None
    return found


def check_name(name: str) -> None:
    """Check that a text can be a context's name. Raises `UserError`."""
    if name == LOCAL.name:
        raise UserError(
            "the name local is reserved for this machine", "Choose another name.", exit_code=2, field="name"
        )
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is not a valid name of a context" if name else "the context needs a name",
            "Use letters, digits, dashes and underscores; for example: work.",
            exit_code=2,
            field="name",
        )


def add(name: str, settings: GitLabSettings, token: str | None, paths: Paths) -> str | None:
    """Write the context to config.toml, and store the token if there is one; return a description of its location.

    Raises `WsdashError`, with nothing changed.
    """
    from wsdash.backend.providers.gitlab.api.tokens import store

    config = load_config(paths.config_file)
    check_name(name)
    usual = asdict(GitLabSettings(settings.url, settings.project))
    always = ("url", "project", "placement")
    values = {k: value for k, value in asdict(settings).items() if k in always or value != usual[k]}
    hosts = config.contexts[name].allowed_hosts if name in config.contexts else ()
    table = {"provider": GITLAB, **values, **({"allowed_hosts": hosts} if hosts else {})}
    text = with_table(read_config(paths.config_file), ("contexts", name), table)
    contexts = {**config.contexts, name: Context(name, GITLAB, settings, hosts)}
    save(paths, text, replace(config, contexts=contexts))
    if token is None:
        return None
    try:
        with as_failure():
            return store(settings.url, token, paths.credentials_file)
    except OSError as error:
        raise UserError(
            f"the token could not be stored: {error.strerror}", f"Fix {paths.credentials_file}."
        ) from error


def remove(name: str, paths: Paths, workspaces: Sequence[str]) -> str:
    """Remove a context from config.toml, and its token if no other context needs it; return the new default context.

    `workspaces` are the names of the workspaces in it, which must be empty. Raises `UserError`.
    """
    from wsdash.backend.providers.gitlab.api.tokens import forget

    if name == LOCAL.name:
        raise UserError("the context local is this machine and cannot be removed", "There is nothing to do.")
    if workspaces:
        listed = ", ".join(workspaces[:5]) + (", ..." if len(workspaces) > 5 else "")
        raise UserError(
            f"the context {name} has workspaces: {listed}",
            f"Delete them first: `wsdash delete {workspaces[0]}`.",
        )
    config = read(paths)
    text = without_table(read_config(paths.config_file), ("contexts", name))
    contexts = {other: found for other, found in config.contexts.items() if other != name}
    default = config.default_context
    if default == name:
        default = LOCAL.name
        text = with_top_level(text, "default_context", default)
    save(paths, text, replace(config, default_context=default, contexts=contexts))
    settings = config.contexts[name].gitlab
    urls = {found.gitlab.url for found in contexts.values() if found.gitlab is not None}
    if settings is not None and settings.url not in urls:
        forget(settings.url, paths.credentials_file)
    return default


def use(name: str, paths: Paths) -> None:
    """Make the context the default one. Raises `UserError`."""
    config = read(paths)
    text = with_top_level(read_config(paths.config_file), "default_context", name)
    save(paths, text, replace(config, default_context=name))


def check_host(host: str) -> None:
    """Raises `UserError` for a text that cannot be a machine's name or address."""
    if not HOST.fullmatch(host):
        raise UserError(
            f"{host!r} is not the name or address of a machine",
            "For example jump.example.com or 10.0.0.5.",
            exit_code=2,
            field="access_host",
        )


def set_access(paths: Paths, host: str) -> None:
    """Write this machine's name, as runners see it, to config.toml. A name of IPv6 alone has the relay listen at `::`.

    Raises `UserError`.
    """
    from wsdash.backend.operations.check_access import needs_ipv6

    check_host(host)
    config = read(paths)
    needs_all = config.access.bind == Access().bind and needs_ipv6(plain_host(host))
    bind = "::" if needs_all else config.access.bind
    values = {"host": host, **({"bind": bind} if needs_all else {})}
    text = with_values(read_config(paths.config_file), ("access",), values)
    save(paths, text, replace(config, access=replace(config.access, host=host, bind=bind)))


def save(paths: Paths, text: str, meant: Config) -> None:
    """Write config.toml if the text parses to `meant`; otherwise raise `UserError`, as the user must edit it."""
    file = paths.config_file
    try:
        right = parse_config(text, file) == meant
    except ConfigError:
        right = False
    if not right:
        raise UserError(
            f"{file} has a layout that wsdash cannot edit",
            f"Edit it: default_context = {quoted(meant.default_context)}, contexts: {', '.join(meant.contexts)}.",
        )
    _replace(file.resolve(), text)


def _replace(file: Path, text: str) -> None:
    """Replace the file's content atomically."""
    try:
        make_folder(file.parent)
        atomic.write(file, text.encode(), durable=True)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written: {error.strerror}", "Free disk space, or fix its permissions."
        ) from error
