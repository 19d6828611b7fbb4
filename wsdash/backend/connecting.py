"""Contexts: which credentials there are for an instance, what they may do, and config.toml's part in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.backend.providers.base import ProviderError
from wsdash.config import (
    GITLAB,
    LOCAL,
    Config,
    ConfigError,
    Context,
    GitLabSettings,
    load_config,
    parse_config,
    read_config,
)
from wsdash.paths import Paths
from wsdash.toml_text import quoted, with_table, with_top_level, without_table

if TYPE_CHECKING:
    from wsdash.backend.providers.gitlab.credentials import Credential
    from wsdash.backend.providers.gitlab.probe import Finding


def credentials(url: str, paths: Paths, environ: Mapping[str, str] = os.environ) -> list[Credential]:
    """The access tokens that are there already for this instance, the best first. Blocks. Raises `UserError`."""
    from wsdash.backend.providers.gitlab.credentials import find

    try:
        return find(url, paths.credentials_file, environ)
    except ProviderError as error:
        raise UserError(error.message, error.hint) from error


def git_environ(context: str, paths: Paths, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What lets Git on this machine read the projects of a context's instance, with the context's token.

    The token is in the environment alone, and Git offers it to that instance alone. Empty where there is
    none, so that the user's own credential helpers are asked. Blocks.
    """
    settings = load_config(paths.config_file).contexts[context].gitlab
    if settings is None:
        return {}
    found = credentials(settings.url, paths, environ)
    if not found:
        return {}
    number = int(environ.get("GIT_CONFIG_COUNT") or 0)
    helper = '!f() { [ "$1" != get ] || printf "username=oauth2\\npassword=%s\\n" "$WSDASH_GIT_TOKEN"; }; f'
    more = {"GIT_SSL_CAINFO": str(Path(settings.ca_file).expanduser())} if settings.ca_file else {}
    return {
        "WSDASH_GIT_TOKEN": found[0].token,
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"credential.{settings.url}.helper",
        f"GIT_CONFIG_VALUE_{number}": helper,
        **more,
    }


async def check(settings: GitLabSettings, token: str, paths: Paths) -> list[Finding]:
    """Ask GitLab what this token may do in this project; nothing is changed there."""
    from wsdash.backend.providers.gitlab.connect import gitlab_api
    from wsdash.backend.providers.gitlab.probe import probe

    api = gitlab_api(settings.url, lambda: token, paths, ca_file=settings.ca_file)
    try:
        return await probe(api, settings)
    finally:
        await api.client.aclose()


async def projects(settings: GitLabSettings, token: str, paths: Paths) -> list[str]:
    """Paths of projects where workspaces could run, the most recently used first. Raises `UserError`."""
    from wsdash.backend.providers.gitlab.connect import gitlab_api

    api = gitlab_api(settings.url, lambda: token, paths, ca_file=settings.ca_file)
    try:
        return [project.path_with_namespace for project in await api.own_projects()]
    except ProviderError as error:
        raise UserError(error.message, error.hint) from error
    finally:
        await api.client.aclose()


def default_context(paths: Paths) -> str:
    """Where new workspaces are made, by config.toml. Blocks. Raises `UserError`."""
    try:
        return load_config(paths.config_file).default_context
    except ConfigError as error:
        raise UserError(str(error), "") from error


def settings_of(text: Mapping[str, object], name: str) -> GitLabSettings:
    """Settings from what a user typed, checked as config.toml is. Raises `UserError`."""
    values = {key: value for key, value in text.items() if value not in (None, "", (), [])}
    document = with_table("", ("contexts", name), {"provider": GITLAB, **values})
    try:
        found = parse_config(document, Path("the context")).contexts[name].gitlab
    except ConfigError as error:
        said = str(error).removeprefix("the context").lstrip(", ").partition(": ")[2] or str(error)
        raise UserError(said, "") from error
    assert found is not None
    return found


def add(name: str, settings: GitLabSettings, token: str | None, paths: Paths) -> str | None:
    """Write the context to config.toml, and keep the token where one is given: where, in words. Blocks.

    Raises `UserError`, with nothing changed.
    """
    from wsdash.backend.providers.gitlab.credentials import store

    config = load_config(paths.config_file)
    if name == LOCAL.name:
        raise UserError(
            "the context local is this machine", "Choose another name.", exit_code=2, field="name"
        )
    usual = asdict(GitLabSettings(settings.url, settings.project))
    always = ("url", "project", "placement")
    values = {k: value for k, value in asdict(settings).items() if k in always or value != usual[k]}
    table = {"provider": GITLAB, **values}
    text = with_table(read_config(paths.config_file), ("contexts", name), table)
    contexts = {**config.contexts, name: Context(name, GITLAB, settings)}
    save(paths, text, replace(config, contexts=contexts))
    if token is None:
        return None
    try:
        return store(settings.url, token, paths.credentials_file)
    except ProviderError as error:
        raise UserError(error.message, error.hint) from error
    except OSError as error:
        raise UserError(
            f"the token could not be kept: {error.strerror}", f"Mend {paths.credentials_file}."
        ) from error


def remove(name: str, paths: Paths) -> str:
    """Take a context out of config.toml, and forget its token where no other context needs it.

    The default context after that. Blocks. Raises `UserError`.
    """
    from wsdash.backend.providers.gitlab.credentials import forget

    config = load_config(paths.config_file)
    text = without_table(read_config(paths.config_file), ("contexts", name))
    contexts = {other: found for other, found in config.contexts.items() if other != name}
    default = config.default_context
    if default == name:
        default = LOCAL.name
        text = with_top_level(text, "default_context", quoted(default))
    save(paths, text, replace(config, default_context=default, contexts=contexts))
    settings = config.contexts[name].gitlab
    urls = {found.gitlab.url for found in contexts.values() if found.gitlab is not None}
    if settings is not None and settings.url not in urls:
        forget(settings.url, paths.credentials_file)
    return default


def use(name: str, paths: Paths) -> None:
    """Make it the default context. Raises `UserError`."""
    config = load_config(paths.config_file)
    text = with_top_level(read_config(paths.config_file), "default_context", quoted(name))
    save(paths, text, replace(config, default_context=name))


def save(paths: Paths, text: str, meant: Config) -> None:
    """Write config.toml if the text says what is meant, else leave it to the user, who wrote it."""
    file = paths.config_file
    try:
        right = parse_config(text, file) == meant
    except ConfigError:
        right = False
    if not right:
        raise UserError(
            f"{file} is laid out in a way that wsdash does not change by itself",
            f"Edit it: default_context = {quoted(meant.default_context)}, contexts: {', '.join(meant.contexts)}.",
        )
    _replace(file.resolve(), text)


def _replace(file: Path, text: str) -> None:
    """All of the new text or all of the old is in the file, whatever happens."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as partial:
                partial.write(text)
                partial.flush()
                os.fsync(partial.fileno())
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"{file} cannot be written: {error.strerror}", "Free space or mend its rights."
        ) from error
