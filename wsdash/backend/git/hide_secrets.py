"""Removes the secrets of addresses from documents shown to people, such as a devfile or a workload. Pure."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from wsdash.backend.clone_address import (
    HIDDEN,
    IN_TEXT,
    SECRET_KEY,
    hides_a_secret,
    shown,
    without_secrets,
)

T = TypeVar("T")

_VARIABLE = r"(?:\$\{?\w+\}?|\{\{[^{}]*\}\}|\$\([^()]*\))"
_ONLY_VARIABLES = rf"{_VARIABLE}(?::{_VARIABLE})?|[\w.+-]+:{_VARIABLE}"
"""A user and a password that are variables, to be filled in by a shell or a template: `$USER:$TOKEN`,
`oauth2:{{token}}`."""
_TOKEN_LENGTH = 20
"""A user's name of at least this length is treated as a token."""
_LEAST = 4
"""A secret shorter than this is not searched for elsewhere: it would match too many other texts."""


class SecretHider:
    """Hides secrets, and collects in `addresses` the safe form of each address that had one."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._secrets: set[str] = set()

    def of_workload(self, workload: T) -> T:
        """Return a workload, or its JSON, without the secrets of the addresses in its texts."""
        return cast("T", self._value(workload, False))

    def of_devfile(self, devfile: T) -> T:
        """Return a devfile's JSON without secrets, also in the values of its variables."""
        devfile = cast("T", self._value(devfile, False))
        variables = devfile.get("variables") if isinstance(devfile, dict) else None
        if isinstance(variables, dict):
            for name, value in variables.items():
                if any(len(secret) >= _LEAST and secret in str(value) for secret in self._secrets):
                    variables[name] = HIDDEN
        return devfile

    def _value(self, value: object, is_remote: bool) -> object:
        """Return the value without secrets. `is_remote`: its texts are addresses for Git, which need no scheme."""
        if isinstance(value, str):
            return self._remote(value) if is_remote else self._text(value)
        if isinstance(value, dict):
            return {
                self._value(key, False): self._value(inner, is_remote or key == "remotes")
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return type(value)(self._value(inner, is_remote) for inner in value)
        if is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in fields(value) if field.init]
            changed: dict[str, Any] = {
                name: self._value(getattr(value, name), name == "url") for name in names
            }
            return replace(value, **changed)
        return value

    def _text(self, text: str) -> str:
        return re.sub(IN_TEXT, lambda found: self._address(found[0]), text) if "://" in text else text

    def _address(self, address: str) -> str:
        """Remove only the secret part: texts such as commands may contain variables in an address."""
        rest = address.partition("://")[2]
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        user, at, _ = authority.rpartition("@")
        if at and re.fullmatch(_ONLY_VARIABLES, user):
            return self._without_query(address)
        is_unclear = "@" in rest and not re.search(_VARIABLE, authority) and hides_a_secret(rest)
        if (at or is_unclear) and (clean := shown(address)) != address:
            return self._noted(address, clean)
        return self._without_query(address)

    def _without_query(self, address: str) -> str:
        start = re.search(r"[?;#]|$", address)
        assert start is not None
        path, query = address[: start.start()], address[start.start() :]
        clean = re.sub(SECRET_KEY, self._without_value, query)
        if clean != query:
            self.addresses.append(path + clean)
        return path + clean

    def _without_value(self, found: re.Match[str]) -> str:
        value = found[0][len(found[1]) :]
        if re.fullmatch(_VARIABLE, value):
            return found[0]
        self._secrets |= {value, unquote(value)}
        return f"{found[1]}{HIDDEN}"

    def _remote(self, address: str) -> str:
        clean = without_secrets(address)
        return address if clean == address.strip() else self._noted(address, clean)

    def _noted(self, address: str, clean: str) -> str:
        """Record and return the clean form of an address whose user part was removed."""
        self.addresses.append(clean)
        user = re.sub(r"^\w[\w+.-]*://", "", address).rpartition("@")[0]
        name, colon, password = user.partition(":")
        found = {password if colon else name, *([name] if len(name) >= _TOKEN_LENGTH else [])}
        self._secrets |= found | {unquote(secret) for secret in found}
        return clean
