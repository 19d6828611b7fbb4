"""`wsdash context`: which there are, and which one new workspaces are made in."""

from __future__ import annotations

import os
import tempfile
import time
from argparse import Namespace
from pathlib import Path

from wsdash.backend.errors import UserError
from wsdash.commands.opening import reading
from wsdash.commands.output import DONE, NOT_FOUND, print_json, print_table
from wsdash.config import LOCAL, Config, ConfigError, load_config, parse_config, read_config
from wsdash.paths import Paths
from wsdash.toml_text import with_top_level, without_table


def context(args: Namespace, paths: Paths) -> int:
    config = load_config(paths.config_file)
    if args.action == "list":
        return _list(args, config)
    if args.action == "use":
        return _use(args.name, config, paths)
    if args.action == "remove":
        return _remove(args.name, config, paths)
    raise UserError(
        "`wsdash context add` is not available yet: this version runs workspaces on this machine only",
        "The context `local` is always there.",
    )


def _list(args: Namespace, config: Config) -> int:
    contexts = config.contexts.values()
    if args.json:
        print_json(
            [
                {
                    "name": found.name,
                    "provider": found.provider,
                    "default": found.name == config.default_context,
                }
                for found in contexts
            ]
        )
    else:
        print_table(
            ("NAME", "PROVIDER", "DEFAULT"),
            [(c.name, c.provider, "yes" if c.name == config.default_context else "") for c in contexts],
        )
    return DONE


def _use(name: str, config: Config, paths: Paths) -> int:
    _known(name, config)
    text = with_top_level(read_config(paths.config_file), "default_context", f'"{name}"')
    _save(paths, text, Config(name, config.contexts, config.dashboard, config.policy))
    print(f"New workspaces are made in the context {name}.")
    return DONE


def _remove(name: str, config: Config, paths: Paths) -> int:
    _known(name, config)
    if name == LOCAL.name:
        raise UserError("the context local is this machine and is always there", "Nothing needs to be done.")
    with reading(paths) as reader:
        users = [
            row.workspace.name for row in reader.workspaces(time.time()) if row.workspace.context == name
        ]
    if users:
        raise UserError(
            f"the context {name} has workspaces: {', '.join(users[:5])}{', ...' if len(users) > 5 else ''}",
            f"Delete them first: `wsdash delete {users[0]}`.",
        )
    text = without_table(read_config(paths.config_file), ("contexts", name))
    contexts = {other: found for other, found in config.contexts.items() if other != name}
    default = config.default_context
    if default == name:
        default = LOCAL.name
        text = with_top_level(text, "default_context", f'"{default}"')
    _save(paths, text, Config(default, contexts, config.dashboard, config.policy))
    print(f"The context {name} is removed; new workspaces are made in {default}.")
    return DONE


def _known(name: str, config: Config) -> None:
    if name not in config.contexts:
        raise UserError(
            f"there is no context {name}", f"There are: {', '.join(config.contexts)}.", exit_code=NOT_FOUND
        )


def _save(paths: Paths, text: str, meant: Config) -> None:
    """Write config.toml if the text says what is meant, else leave it to the user, who wrote it."""
    file = paths.config_file
    try:
        right = parse_config(text, file) == meant
    except ConfigError:
        right = False
    if not right:
        raise UserError(
            f"{file} is laid out in a way that wsdash does not change by itself",
            f'Edit it: default_context = "{meant.default_context}", contexts: {", ".join(meant.contexts)}.',
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
