"""Access tokens: finds existing ones for an instance, and stores wsdash's own.

A token never appears in the state store, in an argument, in a log or in config.toml. A token for another
host is never used, because it would be sent to the wrong host.
"""

from __future__ import annotations

import configparser
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from wsdash.backend.providers.errors import PreconditionFailed
from wsdash.backend.system import environments
from wsdash.backend.system.files import atomic
from wsdash.paths import make_folder

SERVICE = "wsdash"
KEYRING_S = 5.0
"""Longest wait for a keyring, in seconds: it may ask its user to unlock it, on a screen that is not visible."""
REREAD_S = 30.0
OWN_VARIABLE = "WSDASH_GITLAB_TOKEN"
_TOKENS = tuple(name for name in environments.GITLAB_TOKENS if name != OWN_VARIABLE)
_HOSTS = ("GITLAB_HOST", "GITLAB_URI", "GITLAB_URL", "GL_HOST")
_USUAL_HOST = "gitlab.com"


class NoToken(PreconditionFailed):
    """The instance has no access token."""


@dataclass(frozen=True, slots=True)
class Credential:
    """An access token, and a description of its origin."""

    source: str
    token: str = field(repr=False)


def find(url: str, own_file: Path, environ: Mapping[str, str]) -> list[Credential]:
    """Return all tokens for the instance at `url`, the best first: wsdash's own, the environment's, other programs'.

    Blocks. Raises `PreconditionFailed` if other users can read wsdash's own file.
    """
    home = Path(environ.get("HOME", "~")).expanduser()
    found = [*_own(url, own_file), *_of_environment(url, environ)]
    found += [*_of_python_gitlab(url, home, environ), *_of_glab(url, home, environ)]
    return list({credential.token: credential for credential in reversed(found)}.values())[::-1]


def store(url: str, token: str, own_file: Path) -> str:
    """Store a token in the keyring if there is one, else in a file that only this user can read.

    Return a description of the location. Blocks. Raises `OSError`.
    """
    import keyring

    if _has_keyring():
        with suppress(Exception):  # any backend's own errors: the file is used instead
            _bounded(lambda: keyring.set_password(SERVICE, url, token))
            _change_file(own_file, url, None)
            return "the keyring"
    _change_file(own_file, url, token)
    return str(own_file)


def forget(url: str, own_file: Path) -> None:
    """Remove the token that `store` stored."""
    import keyring

    if _has_keyring():
        with suppress(Exception):  # it did not exist, or the backend failed
            _bounded(lambda: keyring.delete_password(SERVICE, url))
    _change_file(own_file, url, None)


class TokenSource:
    """The token for an instance, looked up regularly, so that a new one is used without a restart."""

    def __init__(
        self, url: str, own_file: Path, environ: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._own_file = own_file
        self._environ = environ
        self._clock = clock
        self._token = ""
        self._read_at = float("-inf")

    def __call__(self) -> str:
        """Return the token. Raises `NoToken` without one, and as `find` does."""
        now = self._clock()
        if abs(now - self._read_at) >= REREAD_S:
            found = find(self._url, self._own_file, self._environ)
            self._token, self._read_at = (found[0].token if found else ""), now
        if not self._token:
            raise NoToken(
                f"there is no access token for {self._url}",
                "Give one to `wsdash context add` for the same context.",
            )
        return self._token


def git_environ(
    url: str, ca_file: str | None, token: Callable[[], str], environ: Mapping[str, str]
) -> dict[str, str]:
    """Return variables with which Git on this machine can read the projects of the instance at `url`.

    Empty without a token, so that the user's own credential helpers are used. Blocks. Raises as `find` does.
    """
    try:
        given = token()
    except NoToken:
        return {}
    number = int(environ.get("GIT_CONFIG_COUNT") or 0)
    helper = '!f() { [ "$1" != get ] || printf "username=oauth2\\npassword=%s\\n" "$WSDASH_GIT_TOKEN"; }; f'
    more = {"GIT_SSL_CAINFO": str(Path(ca_file).expanduser())} if ca_file else {}
    return {
        "WSDASH_GIT_TOKEN": given,
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"credential.{url}.helper",
        f"GIT_CONFIG_VALUE_{number}": helper,
        **more,
    }


def _own(url: str, own_file: Path) -> Iterator[Credential]:
    import keyring

    if _has_keyring():
        try:
            token = _bounded(lambda: keyring.get_password(SERVICE, url))
        except Exception:
            token = None
        if token:
            yield Credential("the keyring", token)
    token = _read_file(own_file).get(url)
    if token:
        yield Credential(str(own_file), token)


def _of_environment(url: str, environ: Mapping[str, str]) -> Iterator[Credential]:
    environ = {**environments.received, **environ}
    if environ.get(OWN_VARIABLE):
        yield Credential(f"the variable {OWN_VARIABLE}", environ[OWN_VARIABLE])
    named = next((environ[name] for name in _HOSTS if environ.get(name)), _USUAL_HOST)
    if _host(named) != _host(url):
        return
    for name in _TOKENS:
        if environ.get(name):
            yield Credential(f"the variable {name}", environ[name])


def _of_python_gitlab(url: str, home: Path, environ: Mapping[str, str]) -> Iterator[Credential]:
    """Read python-gitlab's configuration (its page "Configuration files"). A helper command is not run."""
    named = environ.get("PYTHON_GITLAB_CFG")
    files = [Path(named)] if named else [Path("/etc/python-gitlab.cfg"), home / ".python-gitlab.cfg"]
    for file in files:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in parser.sections():
            if _host(parser.get(section, "url", fallback="")) != _host(url):
                continue
            for key in ("private_token", "oauth_token"):
                token = parser.get(section, key, fallback="")
                if token and not token.startswith("helper:"):
                    yield Credential(f"[{section}] in {file}", token)


def _of_glab(url: str, home: Path, environ: Mapping[str, str]) -> Iterator[Credential]:
    """Read glab's hosts in `config.yml`. It tags tokens as null, so the nodes are read instead of the values."""
    import yaml

    own = environ.get("GLAB_CONFIG_DIR")
    folder = Path(own) if own else Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "glab-cli"
    file = folder / "config.yml"
    try:
        document = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return
    for name, about in _entries(_entries(document).get("hosts")).items():
        values = {
            key: node.value for key, node in _entries(about).items() if isinstance(node, yaml.ScalarNode)
        }
        if _host(url) in (_host(name), _host(values.get("api_host", ""))) and values.get("token"):
            yield Credential(f"{name} in {file}", values["token"])


def _entries(node: object) -> dict[str, object]:
    """Return the entries of a YAML mapping by their keys; none for any other node."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _host(address: str) -> str:
    """Return host and port of an address, with or without a scheme."""
    try:
        return urlsplit(address if "://" in address else f"//{address}").netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _read_file(file: Path) -> dict[str, str]:
    try:
        status = file.stat()
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise PreconditionFailed(f"{file} cannot be read", "Fix its permissions, or remove it.") from error
    if status.st_mode & 0o077:
        raise PreconditionFailed(
            f"{file} contains access tokens, but other users can read it",
            f"Run: chmod 600 {quote(str(file))}",
        )
    try:
        tokens = tomllib.loads(text).get("tokens", {}).items()
    except (ValueError, AttributeError, RecursionError) as error:
        raise PreconditionFailed(f"{file} is damaged", "Remove it, and add the contexts again.") from error
    return {str(url): token for url, token in tokens if isinstance(token, str)}


def _change_file(file: Path, url: str, token: str | None) -> None:
    from wsdash.config.toml_edit import quoted

    tokens = _read_file(file)
    before = dict(tokens)
    tokens.pop(url, None)
    if token is not None:
        tokens[url] = token
    if tokens == before:
        return
    if not tokens:
        file.unlink(missing_ok=True)
        return
    lines = ["# Access tokens of wsdash. Only you may read this file.", "[tokens]"]
    lines += [f"{quoted(name)} = {quoted(value)}" for name, value in tokens.items()]
    make_folder(file.parent)
    atomic.write(file, ("\n".join(lines) + "\n").encode(), durable=True)


def _has_keyring() -> bool:
    """Whether there is a keyring that stores passwords, not one that only refuses."""
    import keyring
    from keyring.backends import chainer, fail, null

    try:
        backend = _bounded(keyring.get_keyring)
    except Exception:
        return False
    if isinstance(backend, chainer.ChainerBackend):
        return bool(backend.backends)
    return not isinstance(backend, fail.Keyring | null.Keyring)


def _bounded(ask: Callable[[], object]) -> str | None:
    """Return the result of a call within a bounded time. Raises its errors, and TimeoutError."""
    answer: list[object] = []
    problem: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(ask())
        except BaseException as error:
            problem.append(error)

    thread = threading.Thread(target=work, daemon=True, name="wsdash-keyring")
    thread.start()
    thread.join(KEYRING_S)
    if problem:
        raise problem[0]
    if not answer:
        raise TimeoutError("the keyring does not answer")
    return answer[0]  # type: ignore[return-value]
