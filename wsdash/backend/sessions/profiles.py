"""Profiles: how a kind of program is started again and how it shows its state, as data.

A profile is a table of TOML. Those that come with wsdash are in `profiles.toml` beside this module; the user's own
are in a file of that name in the configuration folder, and win.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLACE = re.compile(r"\{(uuid|prompt)\}")
_KEYS = frozenset({"start", "resume", "waiting", "working", "quiet_s", "env", "folder", "as_of"})


class ProfileError(Exception):
    """A profile cannot be used; the message names the file, the profile, the key and what it accepts."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The way to start and to watch a kind of program.

    `start` and `resume` are lines of shell; `resume` is used when the session is started again, "" for the line that
    started it. `waiting` and `working` are extended regular expressions for the last lines of its screen. After
    `quiet_s` seconds without output its turn may have ended. `env` are the names of further variables of the job
    that it gets. `folder` is below the project's. `as_of` is the date on which this was found to be so.
    """

    name: str = ""
    start: str = ""
    resume: str = ""
    waiting: tuple[str, ...] = ()
    working: tuple[str, ...] = ()
    quiet_s: int = 3
    env: tuple[str, ...] = ()
    folder: str = ""
    as_of: str = ""

    def filled(self, uuid: str, prompt: str) -> Profile:
        """Return the profile with `{uuid}` and `{prompt}` of its lines replaced, each as one word of shell.

        A prompt for a line without a place for it becomes its last word.
        """
        values = {"uuid": shlex.quote(uuid), "prompt": shlex.quote(prompt)}
        start = self.start
        if prompt and "{prompt}" not in start:
            start += " {prompt}"
        return Profile(
            self.name,
            _PLACE.sub(lambda place: values[place[1]] if place[1] == "uuid" or prompt else "", start).strip(),
            _PLACE.sub(lambda place: values[place[1]] if place[1] == "uuid" else "", self.resume).strip(),
            self.waiting,
            self.working,
            self.quiet_s,
            self.env,
            self.folder,
            self.as_of,
        )


def parse(text: str, where: str) -> dict[str, Profile]:
    """Return the profiles of a TOML text by name. `where` names it in errors. Raises `ProfileError`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{where} is not valid TOML: {error}") from error
    return {name: _profile(name, table, where) for name, table in document.items()}


def load(user_file: Path) -> dict[str, Profile]:
    """Return all profiles by name: those of wsdash, and the user's own, which replace them. Raises `ProfileError`."""
    shipped = parse(
        (files(__package__) / "profiles.toml").read_text(encoding="utf-8"), "profiles.toml of wsdash"
    )
    try:
        text = user_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return shipped
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{user_file} cannot be read: {error}") from error
    return shipped | parse(text, str(user_file))


def for_command(profiles: Mapping[str, Profile], words: tuple[str, ...]) -> Profile:
    """Return how to watch a command: as the profile that is called like its program says; started as it was given."""
    known = profiles.get(Path(words[0]).name, Profile())
    line = f"exec {shlex.join(words)}"
    return Profile(known.name, line, "", known.waiting, known.working, known.quiet_s, known.env)


def _profile(name: str, table: object, where: str) -> Profile:
    place = f"{where}: profile {name}"
    if not isinstance(table, dict):
        raise ProfileError(f"{place} must be a table: [{name}]")
    for key in table:
        if key not in _KEYS:
            raise ProfileError(f"{place}: unknown key {key}; the keys are {', '.join(sorted(_KEYS))}")
    quiet = table.get("quiet_s", 3)
    if isinstance(quiet, bool) or not isinstance(quiet, int) or not 1 <= quiet <= 3600:
        raise ProfileError(f"{place}: quiet_s must be a whole number of seconds from 1 to 3600")
    env = _texts(table, "env", place)
    for variable in env:
        if not _VARIABLE.fullmatch(variable):
            raise ProfileError(f"{place}: env: {variable!r} cannot be the name of a variable")
    start = _text(table, "start", place)
    if not start:
        raise ProfileError(f"{place} needs start, the line of shell that starts its program")
    return Profile(
        name,
        start,
        _text(table, "resume", place),
        _patterns(table, "waiting", place),
        _patterns(table, "working", place),
        quiet,
        env,
        _text(table, "folder", place),
        _text(table, "as_of", place),
    )


def _text(table: Mapping[str, Any], key: str, place: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or "\n" in value or "\0" in value:
        raise ProfileError(f"{place}: {key} must be a text of one line")
    return value


def _texts(table: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(
        isinstance(item, str) and "\n" not in item and item for item in value
    ):
        raise ProfileError(f"{place}: {key} must be a list of texts of one line each")
    return tuple(value)


def _patterns(table: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    found = _texts(table, key, place)
    for pattern in found:
        try:
            re.compile(pattern)  # grep's language is close enough that what fails here fails there
        except re.error as error:
            raise ProfileError(f"{place}: {key}: {pattern!r} is no regular expression: {error}") from error
    return found
