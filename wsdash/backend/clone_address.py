"""Splits addresses of Git repositories into a clean address and a credential for its host. Pure.

Addresses reach argument lists, logs, branches and stores; a credential reaches Git alone (gitcredentials(7)).
Nothing here raises or returns a text with a secret in it, except `Credential` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

TYPE_CHECKING = False  # instead of importing typing: it is slow, and the quick commands do without it
if TYPE_CHECKING:
    from wsdash.workload import Workload

_HTTP = ("http", "https")
_WITH_A_USER = ("ssh", "git+ssh", "ssh+git", "git")
"""Schemes where the name before the host is a user's name, and not a secret."""
# Strings, which re compiles on first use: every command loads this module, and few need them.
_URL = r"(?s)([A-Za-z][A-Za-z0-9+.-]*)://(.*)"
_TOKEN_ANYWHERE = (
    r"(?<![A-Za-z0-9])(?:gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rtr?|soat|wt)-|gh[a-z]_|github_pat_|AT[A-Z]TT|ATBB)"
    r"[A-Za-z0-9_-]{16,}"
)
"""A token of GitLab (doc/security/tokens: "Token prefixes"), GitHub or Atlassian, inside any text."""
_NOTHING_TO_HIDE = rf"(?:https?|ssh)://(?!.*{_TOKEN_ANYWHERE})[A-Za-z0-9.-]+(?::\d+)?/[A-Za-z0-9._~/-]*"
"""An address without a user, a query, a fragment, parameters and tokens: one look shows that it holds no secret."""
# Texts of others may be made to keep a pattern busy: each of these reads a text once, whatever it holds.
IN_TEXT = r"[A-Za-z][A-Za-z0-9+.-]{0,19}://[^\s'\"`<>|\\]++"
_ENDS_A_SENTENCE = ",.;:!?)]}"
_HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\])(?::\d*)?"
_USER = r"[A-Za-z0-9._+-]+"
_PLAIN_USER = r"[A-Za-z0-9._+-]{1,19}(?:@[A-Za-z0-9.-]+)?"
"""User names of people and services. Tokens are longer."""
_TOKEN = r"(?:gl[a-z]{1,6}-|gh[a-z]_|github_pat_|AT[A-Z]TT|ATBB)"
"""The prefixes of tokens of GitLab, GitHub and Atlassian."""
_NEARLY_URL = r"(?is)https?[:/\\]|//|.*://"
"""The beginning of a mistyped URL."""
_PASSWORD = r":(?:[^/@:]++:?|:)@"
SECRET_KEY = r"(?i)((?:^|[&;#])(?=[^=&;#]*?(?:token|secret|pass|auth|cred|key|sig))[^=&;#]*+=)[^&;#]*+"
_NO_KEY = r"([?#])[^=?#]+(?=#|$)"
HIDDEN = "***"


class BadAddress(ValueError):
    """The address is unusable. The message and `hint` contain no secret."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Credential:
    """A user name and password for one host, or only for the repository at `path` there.

    `password` None: only the user's name; Git gets the password from elsewhere.
    """

    __slots__ = ("host", "password", "path", "protocol", "username")

    def __init__(self, protocol: str, host: str, username: str, password: str | None, path: str = "") -> None:
        self.protocol = protocol
        self.host = host
        self.username = username
        self.password = password
        self.path = path

    def __repr__(self) -> str:
        return f"Credential({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential) and self.line == other.line

    def __hash__(self) -> int:
        return hash(self.line)

    @property
    def url(self) -> str:
        """The address that names it in Git's settings."""
        return f"{self.protocol}://{self.host}{f'/{self.path}' if self.path else ''}"

    def for_host(self) -> Credential:
        """Return the same credential for the whole host."""
        return Credential(self.protocol, self.host, self.username, self.password)

    @property
    def line(self) -> str:
        """Return its line for git-credential-store(1); without a colon before `@` it has no password."""
        from urllib.parse import quote

        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{self.protocol}://{quote(self.username, safe='')}{password}@{self.url.partition('://')[2]}"

    @classmethod
    def of_line(cls, line: str) -> Credential | None:
        """Parse the result of `line`; None for any other text."""
        try:
            return split(line)[1]
        except BadAddress:
            return None


def split(address: str) -> tuple[str, Credential | None]:
    """Return the address and the credential that was removed from it.

    The address has no password, and with http(s) no user either.

    Raises BadAddress for an address whose secret cannot be given to Git, or whose parts are ambiguous.
    """
    address = address.strip()
    found = re.fullmatch(_URL, address)
    if found is None:
        address = _without_scheme(address)
        _refuse_a_token(address, "" if _is_path(address) else address)
        return address, None
    scheme, rest = found[1].lower(), found[2]
    authority, tail = _authority(rest)
    user, at, host = authority.rpartition("@")
    if scheme not in _HTTP:
        if at and (":" in user or scheme not in _WITH_A_USER):
            raise BadAddress(
                f"{shown(address)} contains a password or token, which Git can only use with http and https",
                "Remove it and use an ssh key, or give the https address.",
            )
        if scheme in _WITH_A_USER:
            _refuse_parameters(address, tail)
            _refuse_a_token(address, rest)
        return address, None
    if hides_a_secret(rest):
        raise BadAddress(
            f"{shown(address)} is not a valid address: it is ambiguous where its host begins",
            "Write a user and a password with %2F for /, %40 for @ and %3A for :, or remove them.",
        )
    _refuse_parameters(address, tail)
    if "?" in tail or "#" in tail:
        raise BadAddress(
            f"{shown(address)} contains a query, which a repository's address cannot have",
            "Remove everything after the path. Give a branch by --ref, a token as https:// and oauth2:TOKEN@HOST/PATH.",
        )
    _refuse_a_token(address, f"{host}{tail}")
    clean = f"{scheme}://{host}{tail}"
    return clean, _credential(scheme, host, user, tail.strip("/")) if at and user else None


def _refuse_parameters(address: str, tail: str) -> None:
    """Raise BadAddress for path parameters (`;token=SECRET`): Git would send them, and they would be stored."""
    path = re.split(r"[?#]", tail)[0]
    if _without_query(path) != path:
        raise BadAddress(
            f"{shown(address)} contains a secret in its path",
            "Remove everything after the first ; in it. Give a token as https:// and oauth2:TOKEN@HOST/PATH.",
        )


def _refuse_a_token(address: str, kept: str) -> None:
    """Raise BadAddress where the clean address would still contain a token."""
    if re.search(_TOKEN_ANYWHERE, kept):
        raise BadAddress(
            f"{shown(address)} contains a token in a place that Git ignores",
            "Give it as https:// and then oauth2:TOKEN@HOST/PATH.",
        )


def _credential(scheme: str, host: str, user: str, path: str) -> Credential:
    from urllib.parse import unquote

    name, colon, secret = user.partition(":")
    username, password = unquote(name), unquote(secret) if colon else None
    if any(ord(char) < 32 or ord(char) == 127 for char in username + (password or "")):
        raise BadAddress(
            f"the user or the password in the address of {host} contains a control character",
            "Remove it; Git does not accept control characters.",
        )
    if password is None and not (re.fullmatch(_PLAIN_USER, username) and not re.match(_TOKEN, username)):
        password = ""  # the name is the token; such hosts ask for no password
    return Credential(scheme, host.lower(), username, password, path)


def _without_scheme(address: str) -> str:
    """Return `[user@]host:path` and paths unchanged. Raises BadAddress if it contains, or may contain, a password."""
    behind_host = re.sub(r"^[^@/:\s]+@[^@/:]+:", "", address)
    if (
        "@" in address
        and not _is_path(address)
        and (re.match(_NEARLY_URL, address) or re.match(_TOKEN, address) or re.search(_PASSWORD, behind_host))
    ):
        raise BadAddress(
            f"{shown(address)} contains a user or a password, but does not start with https://",
            "Write https:// and then USER:PASSWORD@HOST/PATH, or USER@HOST:PATH for ssh.",
        )
    return address


def _is_path(address: str) -> bool:
    return address.startswith(("/", ".", "~")) and not address.startswith("//")


def without_secrets(address: str) -> str:
    """Return the clean address; where `split` refuses it, the part that is safe to show."""
    if re.fullmatch(_NOTHING_TO_HIDE, address):
        return address
    try:
        return split(address)[0]
    except BadAddress:
        return shown(address)


def shown(address: str) -> str:
    """Return the part of any address that is safe to show."""
    return re.sub(_TOKEN_ANYWHERE, HIDDEN, _shown(address))


def _shown(address: str) -> str:
    found = re.fullmatch(_URL, address)
    if found is None:
        return _shown_without_scheme(address)
    scheme, rest = found[1], found[2]
    authority, tail = _authority(rest)
    user, _, host = authority.rpartition("@")
    if not authority and "@" not in rest:  # unix:///run/socket
        return f"{scheme}://{_without_query(tail)}"
    if hides_a_secret(rest):
        if scheme.lower() == "file":
            return f"{scheme}://{f'{HIDDEN}@' if '@' in authority else ''}{host}{_without_query(tail)}"
        behind = rest.rpartition("@")[2] if "@" in tail else tail
        return f"{scheme}://{HIDDEN}{'@' if '@' in tail else ''}{_without_query(behind)}"
    name = user.partition(":")[0]
    keeps = scheme.lower() in _WITH_A_USER and re.fullmatch(_USER, name)
    return f"{scheme}://{f'{name}@' if keeps else ''}{host}{_without_query(tail)}"


def _shown_without_scheme(address: str) -> str:
    user, at, rest = address.rpartition("@")
    if not at or _is_path(address):
        return _without_query(address)
    is_scp = re.fullmatch(_USER, user) and not re.match(_TOKEN, user) and re.match(r"[^/:]+:", rest)
    return address if is_scp else f"{HIDDEN}@{_without_query(rest)}"


def redacted(text: str) -> str:
    """Return the text, such as an error's, without tokens and with each address reduced to its safe part."""
    if "://" in text:
        text = re.sub(IN_TEXT, lambda found: _shown_in_text(found[0]), text)
    return re.sub(_TOKEN_ANYWHERE, HIDDEN, text)


def _shown_in_text(address: str) -> str:
    """Return the safe part of an address, and what ends a sentence after it as it is."""
    host = address.index("://") + 4
    end = host + len(address[host:].rstrip(_ENDS_A_SENTENCE))
    return shown(address[:end]) + address[end:]


def taken_out(workload: Workload) -> tuple[Workload, tuple[Credential, ...]]:
    """Return the workload with clean addresses of its source and dotfiles, and the credentials removed from them.

    The source's credential counts for its whole host, because submodules need it; that of the dotfiles for their
    repository only. An address that cannot be used is replaced by the part of it that is safe to show.
    """
    from dataclasses import replace

    from wsdash.workload import Command

    found: list[Credential] = []

    def clean(address: str) -> str:
        try:
            address, credential = split(address)
        except BadAddress:
            return shown(address)
        found.extend([credential] if credential is not None else [])
        return address

    if workload.source is not None and (url := clean(workload.source.url)) != workload.source.url:
        workload = replace(workload, source=replace(workload.source, url=url))
        found = [one.for_host() for one in found]
    steps = tuple(
        replace(
            step, env=tuple(replace(v, value=clean(v.value)) if v.name == DOTFILES else v for v in step.env)
        )
        if isinstance(step, Command) and any(v.name == DOTFILES for v in step.env)
        else step
        for step in workload.post_start
    )
    if steps != workload.post_start:
        workload = replace(workload, post_start=steps)
    return workload, tuple(found)


DOTFILES = "DOTFILES"
"""The variable of a step that holds the address of the user's dotfiles."""


def scoped(credentials: Iterable[Credential]) -> tuple[Credential, ...]:
    """Return the first credential for each host and each repository; those for hosts come first.

    A repository counts with and without `.git` in its name: GitLab redirects from one to the other, and Git then
    asks for credentials for the new path.
    """
    found: dict[str, Credential] = {}
    for one in credentials:
        bare = one.path.removesuffix(".git")
        for path in dict.fromkeys((one.path, bare, f"{bare}.git")) if bare else [one.path]:
            same = Credential(one.protocol, one.host, one.username, one.password, path)
            found.setdefault(same.url, same)
    return tuple(sorted(found.values(), key=lambda one: one.path != ""))


def settings_for(credentials: Iterable[Credential], environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that give one Git process, whose environment is `environ`, these credentials for their hosts.

    They exist in that process's environment only. Git passes accepted credentials on to its helpers: the empty helper
    before ours removes the user's own helpers, which would store them.
    """
    number = _count(environ)
    given: dict[str, str] = {}
    settings: list[tuple[str, str]] = []
    for index, credential in enumerate(scoped(credentials)):
        if credential.password is None:
            settings.append((f"credential.{credential.url}.username", credential.username))
            continue
        user, password = f"WSDASH_GIT_USER_{index}", f"WSDASH_GIT_PASSWORD_{index}"
        given |= {user: credential.username, password: credential.password}
        helper = (
            f'!f() {{ [ "$1" != get ] || printf "username=%s\\npassword=%s\\n" "${user}" "${password}"; }}; f'
        )
        settings += [
            (f"credential.{credential.url}.helper", ""),
            (f"credential.{credential.url}.helper", helper),
        ]
    for key, value in settings:
        given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        number += 1
    return {**given, "GIT_CONFIG_COUNT": str(number)} if settings else {}


def _count(environ: Mapping[str, str]) -> int:
    text = environ.get("GIT_CONFIG_COUNT", "")
    return int(text) if text.isdecimal() else 0


def _authority(rest: str) -> tuple[str, str]:
    """Split the text at the first `/`, `?` or `#`: the authority, and the rest."""
    end = re.search(r"[/?#]", rest)
    return (rest[: end.start()], rest[end.start() :]) if end else (rest, "")


def hides_a_secret(rest: str) -> bool:
    """Whether it is ambiguous where the host begins in the text after `://`."""
    authority, tail = _authority(rest)
    host = authority.rpartition("@")[2]
    return not re.fullmatch(_HOST, host) or _hides_an_at(host, tail)


def _hides_an_at(host: str, tail: str) -> bool:
    """Whether the path contains an `@` that may end a password, so that the true host follows: `to` of
    `https://to/ken@host`.

    An apparent port may be the beginning of the password: `12` of `https://me:12/34@host/path`.
    """
    if "@" not in tail or host.startswith("["):
        return False
    name, colon, _ = host.partition(":")
    behind, slash, _ = re.split(r"[?#]", tail.rpartition("@")[2])[0].partition("/")
    if name == "localhost" or ("." in name and not (colon and slash)):
        return False
    return bool(re.fullmatch(_HOST, behind))


def _without_query(text: str) -> str:
    """Remove the values of keys named like a secret, and a query or fragment that has no key at all."""
    text = re.sub(SECRET_KEY, lambda found: f"{found[1]}{HIDDEN}", text)
    return re.sub(_NO_KEY, lambda found: f"{found[1]}{HIDDEN}", text)
