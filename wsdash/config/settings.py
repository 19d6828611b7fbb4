"""Parses the user's config.toml: contexts, the limits of new workspaces, the dashboard.

Checked by hand and not by pydantic, because the dashboard needs it before its first paint.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from wsdash.config import values
from wsdash.model import Policy


class ConfigError(Exception):
    """config.toml cannot be used; the message names the line, the error and the correct form."""


@dataclass(frozen=True, slots=True)
class GitLabSettings:
    """The settings of a GitLab context.

    `url` is the instance's address, with its sub-path if it has one. `project` is the full path of the
    project whose pipelines run the workspaces; `placement` says which kind it is: `source`, the project that
    contains the code, or `own`, a project of the user's own that clones it. `tags` select the runners;
    `image` is used if a devfile names none; `timeout_s` is the job's, None for the project's own;
    `ca_file` has certificate authorities in addition to the usual ones; `injector_image` provides the editor.
    `deposits` (an early word for remote checkpoints) allows checkpoints in the project's package registry or branches,
    which all users who may read those can read. With `id_tokens` jobs authenticate with GitLab's id tokens, otherwise
    with a one-time secret. `poll_s` is the interval between two polls while something changes, otherwise it is five
    times that. `volume` is a folder that the runners with these tags mount into their jobs; each new workspace gets a
    folder in it. `encrypt_cache` encrypts caches with a key that jobs receive through their tunnel.
    """

    url: str
    project: str
    placement: str = "source"
    tags: tuple[str, ...] = ()
    image: str | None = None
    timeout_s: float | None = None
    ca_file: str | None = None
    injector_image: str | None = None
    poll_s: float = 3.0
    deposits: bool = True
    id_tokens: bool = True
    encrypt_cache: bool = False
    volume: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """A named place to run workspaces. `provider` is the kind of provider that runs jobs there.

    `gitlab` is set only for that kind of provider. `allowed_hosts` may serve parents of devfiles even if they are on
    this machine or its network.
    """

    name: str
    provider: str
    gitlab: GitLabSettings | None = None
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The dashboard's settings. Without `theme` and `mouse` the dashboard chooses.

    `handover`: leaving it starts a daemon if the desired state of any workspace is running.
    """

    mouse: bool | None = None
    ascii: bool = False
    theme: str | None = None
    handover: bool = True


@dataclass(frozen=True, slots=True)
class Access:
    """The address at which jobs on other machines reach the relay on this one.

    `host` is this machine's name or address as runners see it, None if they cannot reach it. `bind` is the
    address to listen at; `port` 0 means one that is chosen once and kept.
    """

    host: str | None = None
    bind: str = "0.0.0.0"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Personal:
    """Settings that apply to every new workspace of the user.

    `dotfiles` is the address of a Git repository that is applied to it; `home_files` are paths below the home
    folder that each checkpoint includes. `git_identity` says whether the name and address of your own Git
    configuration are set in it, where it has none. Its Git may ask yours for credentials for
    `credential_hosts`. `editor` is the desktop editor that `wsdash code` opens, None for the first one on PATH; a
    change applies to existing workspaces too.
    """

    dotfiles: str | None = None
    home_files: tuple[str, ...] = (".bash_history", ".zsh_history", ".gitconfig", ".config/git")
    git_identity: bool = True
    credential_hosts: tuple[str, ...] = ()
    editor: str | None = None


LOCAL = Context("local", "local")
GITLAB = "gitlab"
PROVIDERS = (LOCAL.provider, GITLAB)


@dataclass(frozen=True, slots=True)
class Config:
    """The content of config.toml, with defaults for everything it leaves out.

    `policy` has the fields of `wsdash.model.Policy` that the user set.
    """

    default_context: str = LOCAL.name
    contexts: Mapping[str, Context] = field(default_factory=lambda: {LOCAL.name: LOCAL})
    dashboard: Dashboard = Dashboard()
    policy: Mapping[str, Any] = field(default_factory=dict)
    access: Access = Access()
    personal: Personal = Personal()


def load_config(file: Path) -> Config:
    """Read and check config.toml; return the defaults if there is none. Raises `ConfigError`."""
    text = read_config(file)
    return parse_config(text, file) if text else Config()


def policy_for(file: Path, context: str) -> Policy:
    """Return the limits for a new workspace in this context, as config.toml sets them. Raises `ConfigError`."""
    config = load_config(file)
    return policy(config.contexts.get(context, LOCAL).provider, config.policy)


def read_config(file: Path) -> str:
    """Return the text of config.toml, empty if there is none. Raises `ConfigError`."""
    try:
        # Non-blocking: opening a named pipe would otherwise wait for a writer.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(f"{file} cannot be read: it is not a file. Move it away, or remove it.")
            _check_owner(file, found)
            return stream.read().decode("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}. Fix its permissions, or remove it."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error


def _check_owner(file: Path, found: os.stat_result) -> None:
    """Apply the rule of ssh_config(5): config.toml names commands, so only the user or root may own and write
    it.
    """
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"{file} belongs to another user (uid {found.st_uid}), so it is not used. "
            "Remove it, or change its owner to yourself (chown)."
        )
    if found.st_mode & 0o022:
        from shlex import quote

        raise ConfigError(
            f"{file} can be written to by others, so it is not used. Run: chmod go-w {quote(str(file))}"
        )


def parse_config(text: str, file: Path) -> Config:
    """Check the text of a config.toml; `file` is named in errors. Raises `ConfigError`."""
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: {error}. Fix that line (https://toml.io has the rules).") from error
    except RecursionError as error:
        raise ConfigError(f"{file} is nested too deeply. Fix it, or remove it.") from error
    except ValueError as error:
        raise ConfigError(f"{file} holds a number of thousands of digits. Fix it, or remove it.") from error
    check = _Check(text, file)
    top = check.values((), document, {"default_context": values.text, **_TABLES})
    contexts = {LOCAL.name: LOCAL}
    for name, table in top.get("contexts", {}).items():
        contexts[name] = check.context(name, table)
    default = top.get("default_context", LOCAL.name)
    if default not in contexts:
        raise check.error(
            ("default_context",), f"there is no context {default}", f"one of {', '.join(contexts)}"
        )
    own = check.values(("policy",), top.get("policy", {}), _takes(Policy, keep_awake=values.process_names))
    limits = policy(LOCAL.provider, own)
    if limits.suspect_s >= limits.dead_s:
        raise check.error(
            ("policy", "suspect_s"), "suspect_s is not below dead_s", f"less than {limits.dead_s:g}"
        )
    dashboard = check.values(("dashboard",), top.get("dashboard", {}), _takes(Dashboard))
    access = check.values(("access",), top.get("access", {}), _takes(Access))
    personal = check.values(
        ("personal",),
        top.get("personal", {}),
        _takes(Personal, home_files=values.home_files, editor=values.desktop_editor),
    )
    return Config(default, contexts, Dashboard(**dashboard), own, Access(**access), Personal(**personal))


def policy(provider: str, own: Mapping[str, Any]) -> Policy:
    """Return the policy: the provider's defaults, overridden by the user's settings.

    A restart on this machine costs little: its waits are a tenth. A cancel takes a minute to reach a runner,
    which then runs after_script and saves the cache; a silent job there cannot be asked for that.
    """
    usual = Policy()
    if provider == LOCAL.provider:
        usual = replace(usual, ladder_s=tuple(step / 10 for step in usual.ladder_s))
    if provider == GITLAB:
        usual = replace(usual, beat_s=30.0, suspect_s=60.0, dead_s=90.0, grace_s=600.0, lost_grace_s=2.0)
    return replace(usual, **own)


_Takes = Mapping[str, Callable[[object], Any]]


def _takes(settings: type, **special: Callable[[object], Any]) -> _Takes:
    """Return the check of each key of a table, derived from the field types of its class."""
    found = {field.name: values.BY_TYPE.get(str(field.type)) for field in fields(settings)}
    return {name: check for name, check in {**found, **special}.items() if check is not None}


_TABLES: _Takes = dict.fromkeys(("policy", "dashboard", "access", "personal", "contexts"), values.table)
_CONTEXT: _Takes = {"provider": values.text, "allowed_hosts": values.texts}


@dataclass(frozen=True, slots=True)
class _Check:
    """Checks tables of one file, and names the line in its errors."""

    text: str
    file: Path

    def values(self, path: tuple[str, ...], table: Mapping[str, object], takes: _Takes) -> dict[str, Any]:
        """Return the table's values, each checked and converted for its key."""
        found: dict[str, Any] = {}
        for key, value in table.items():
            if key not in takes:
                raise self.unknown((*path, key), takes)
            try:
                found[key] = takes[key](value)
            except values.WrongValue as wrong:
                raise self.error(
                    (*path, key), f"{'.'.join((*path, key))} has a wrong value", str(wrong)
                ) from None
        return found

    def context(self, name: str, table: object) -> Context:
        path = ("contexts", name)
        if not name.isidentifier() and not name.replace("-", "_").isidentifier():
            raise self.error(path, f"{name!r} is not a valid name of a context", "letters, digits and dashes")
        settings = self.values(("contexts",), {name: table}, {name: values.table})[name]
        provider = settings.get("provider")
        if provider not in PROVIDERS:
            raise self.error(
                (*path, "provider"),
                f"the context {name} has no known provider",
                f"one of {', '.join(PROVIDERS)}",
            )
        if provider != GITLAB:
            found = self.values(path, settings, _CONTEXT)
            return Context(name, provider, None, found.get("allowed_hosts", ()))
        special = {"url": values.url, "placement": values.placement, "volume": values.volume}
        own = self.values(path, settings, {**_CONTEXT, **_takes(GitLabSettings, **special)})
        for key in ("url", "project"):
            if key not in own:
                raise self.error(path, f"the context {name} has no {key}", f"{key} for the provider {GITLAB}")
        if "volume" in own and not own.get("tags"):
            raise self.error(
                (*path, "volume"),
                f"the context {name} has a volume, but no tags to select its runner",
                'tags that select one runner, such as tags = ["big-disk"]',
            )
        if own.get("encrypt_cache") and "volume" in own:
            raise self.error(
                (*path, "encrypt_cache"),
                f"the context {name} has a volume, so its workspaces have no cache to encrypt",
                "one of the two",
            )
        del own["provider"]
        hosts = own.pop("allowed_hosts", ())
        return Context(name, GITLAB, GitLabSettings(**own), hosts)

    def unknown(self, path: tuple[str, ...], takes: _Takes) -> ConfigError:
        import difflib

        near = difflib.get_close_matches(path[-1], takes, 1, 0.5)
        remedy = near[0] if near else f"one of {', '.join(takes)}"
        return self.error(path, f"{'.'.join(path)} is not a setting of wsdash", remedy)

    def error(self, path: tuple[str, ...], problem: str, right: str) -> ConfigError:
        from wsdash.config.toml_edit import line_of

        line = line_of(self.text, path)
        return ConfigError(f"{self.file}{f', line {line}' if line else ''}: {problem}. It takes {right}.")
