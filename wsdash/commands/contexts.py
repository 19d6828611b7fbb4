"""`wsdash context`: list, add and remove contexts, and choose the default."""

from __future__ import annotations

import re
import sys
import time
from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.commands.console import (
    DONE,
    NOT_FOUND,
    USAGE,
    ask,
    can_ask,
    print_json,
    print_stderr,
    print_table,
)
from wsdash.commands.open_reader import reading
from wsdash.config.settings import Config, GitLabSettings, load_config
from wsdash.paths import Paths
from wsdash.sanitize import one_line

if TYPE_CHECKING:
    from wsdash.backend.providers.types import Finding

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def context(args: Namespace, paths: Paths) -> int:
    """Run an action of `context`. Only `add` connects to GitLab; the other actions start no event loop."""
    config = load_config(paths.config_file)
    if args.action == "list":
        return _list(args, config, paths)
    if args.action == "add":
        return _add(args, config, paths)
    if args.name not in config.contexts:
        raise UserError(
            f"there is no context {args.name}",
            f"The contexts are: {', '.join(config.contexts)}.",
            exit_code=NOT_FOUND,
        )
    if args.action == "use":
        from wsdash.backend.operations import context_file

        context_file.use(args.name, paths)
        print(f"New workspaces are created in the context {args.name}.")
        return DONE
    return _remove(args.name, paths)


def _list(args: Namespace, config: Config, paths: Paths) -> int:
    contexts = config.contexts.values()
    default = config.default_context
    ways = _ways(config, paths)
    if args.json:
        print_json(
            [
                {"name": found.name, "provider": found.provider, "default": found.name == default}
                | (
                    {"url": found.gitlab.url, "project": found.gitlab.project, "access": ways[found.name]}
                    if found.gitlab
                    else {}
                )
                for found in contexts
            ]
        )
    else:
        places = [(f"{c.gitlab.url}/{c.gitlab.project}" if c.gitlab else "this machine") for c in contexts]
        rows = [
            (c.name, c.provider, "yes" if c.name == default else "", ways.get(c.name, ""), place)
            for c, place in zip(contexts, places, strict=True)
        ]
        print_table(("NAME", "PROVIDER", "DEFAULT", "WAY IN", "WHERE"), rows)
    return DONE


def _ways(config: Config, paths: Paths) -> dict[str, str]:
    """Return, for each context of a GitLab, whether a job of it has connected to this machine."""
    names = [found.name for found in config.contexts.values() if found.gitlab is not None]
    if not names:
        return {}
    from wsdash.backend.access.relay_client import RelayClient
    from wsdash.backend.operations.check_access import way_of

    client = RelayClient(paths, config.access)
    reached = client.reached()
    return {name: way_of(client.process, reached.get(name)) for name in names}


def _remove(name: str, paths: Paths) -> int:
    from wsdash.backend.operations import context_file

    with reading(paths) as reader:
        users = [
            row.workspace.name for row in reader.workspaces(time.time()) if row.workspace.context == name
        ]
    default = context_file.remove(name, paths, users)
    print(f"The context {name} is removed; new workspaces are created in {default}.")
    return DONE


def _add(args: Namespace, config: Config, paths: Paths) -> int:
    """Ask for missing values, check the token's rights on GitLab, then write the context and the token."""
    import asyncio

    from wsdash.backend.operations import connect_gitlab, context_file
    from wsdash.commands import context_access

    before = config.contexts.get(args.name)
    old = before.gitlab if before is not None else None
    url = args.url or (old.url if old else None) or _asked("Address of the GitLab", "--url")
    partial = _settings(args, old, url, args.project or (old.project if old else None) or "-")
    token, source = _token(args, partial, paths)
    if partial.project == "-":
        partial = _settings(args, old, url, _project(partial, token, paths))
    findings = asyncio.run(connect_gitlab.check(partial, token, paths))
    blocked = any(finding.level == "blocked" for finding in findings)
    if not args.json:
        _show(findings)
    if blocked and not args.force:
        if args.json:
            print_json(_plain(args.name, partial, findings, added=False))
        raise UserError(
            f"the context {args.name} is not added: no workspace could run there",
            "Fix the findings marked 'blocked', or add --force.",
        )
    host = None if blocked else context_access.chosen_host(args, config.access, partial.url)
    kept = context_file.add(args.name, partial, token if source is None else None, paths)
    if host is not None:
        context_file.set_access(paths, host)
    way = None if args.no_access else context_access.try_way(args.name, paths)
    if args.json:
        print_json(_plain(args.name, partial, findings, added=True, way=way))
        return DONE
    if way is not None:
        print_stderr("The way from its jobs to this machine:")
        _show(way[1])
    where = f"its token is in {kept}" if kept else f"its token is from {source}"
    print(f"The context {args.name} is {'changed' if before else 'added'}; {where}.")
    print(f"`wsdash create SOURCE --context {args.name}` creates a workspace there;", end=" ")
    print(f"`wsdash context use {args.name}` makes it the default.")
    return DONE


def _settings(args: Namespace, old: GitLabSettings | None, url: str, project: str) -> GitLabSettings:
    """Return the context's earlier settings, overridden by those of the command line."""
    from wsdash.backend.operations import context_file

    typed = {
        "placement": args.placement,
        "tags": args.tag,
        "image": args.image,
        "timeout_s": None if args.job_timeout is None else _seconds(args.job_timeout),
        "ca_file": args.ca_file,
        "injector_image": args.injector_image,
        "volume": args.volume,
    }
    given = {key: value for key, value in typed.items() if value is not None}
    before = asdict(old) if old else {}
    return context_file.settings_of({**before, "url": url, "project": project.strip("/"), **given}, args.name)


def _token(args: Namespace, settings: GitLabSettings, paths: Paths) -> tuple[str, str | None]:
    """Return a token and its source; the source is None for a token that was typed, which is then stored."""
    from wsdash.backend.operations import connect_gitlab

    if args.token_stdin:
        token = sys.stdin.readline().strip()
        if not token:
            raise UserError("there is no token on standard input", "Pipe it in as one line.", USAGE)
        return token, None
    for credential in connect_gitlab.credentials(settings.url, paths):
        question = f"Use the access token that is in {credential.source}?"
        if args.yes or (can_ask() and ask(question)):
            return credential.token, credential.source
    if not can_ask():
        raise UserError(
            f"there is no access token for {settings.url}, and no terminal to ask on",
            "Pipe it in with --token-stdin. An argument would be visible in the list of processes.",
            USAGE,
        )
    import getpass

    print_stderr(f"Create a token with the scope api: {settings.url}/-/user_settings/personal_access_tokens")
    token = getpass.getpass("Access token (not shown): ").strip()
    if not token:
        raise UserError(
            "no token was given", "Type it at the prompt, or pipe it in with --token-stdin.", USAGE
        )
    return token, None


def _project(settings: GitLabSettings, token: str, paths: Paths) -> str:
    import asyncio

    from wsdash.backend.operations import connect_gitlab

    if not can_ask():
        raise UserError("no project was given", "Add --project GROUP/NAME.", USAGE)
    for path in asyncio.run(connect_gitlab.projects(settings, token, paths)):
        print_stderr(f"  {one_line(path)}")
    return _asked("Project that runs the workspaces", "--project")


def _asked(question: str, option: str) -> str:
    if not can_ask():
        raise UserError(f"{option} is missing, and there is no terminal to ask on", f"Add {option}.", USAGE)
    print(f"{question}: ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer:
        raise UserError(f"{option} was not given", f"Add {option}.", USAGE)
    return answer


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise UserError(f"{text} is not a duration", "Write 90m, 8h or 2d.", USAGE)
    return float(found[1]) * _UNITS[found[2]]


def _show(findings: list[Finding]) -> None:
    for finding in findings:
        print_stderr(f"{finding.level:<8} {one_line(finding.message)}")
        if finding.hint:
            print_stderr(f"{'':<8} {one_line(finding.hint)}")


def _plain(
    name: str,
    settings: GitLabSettings,
    findings: list[Finding],
    *,
    added: bool,
    way: tuple[str | None, list[Finding]] | None = None,
) -> dict[str, object]:
    return {
        "name": name,
        "url": settings.url,
        "project": settings.project,
        "added": added,
        "findings": _plain_findings(findings),
        "access": None if way is None else {"host": way[0], "findings": _plain_findings(way[1])},
    }


def _plain_findings(findings: list[Finding]) -> list[dict[str, object]]:
    return [{"level": f.level, "text": f.message, "hint": f.hint or None} for f in findings]
