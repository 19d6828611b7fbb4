"""`wsdash create`: read the source, show the job that will run, ask, and create the workspace."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from wsdash.backend.errors import UserError
from wsdash.commands.console import DONE, FAILED, USAGE, ask, can_ask, print_json, print_stderr
from wsdash.commands.progress import wait_showing
from wsdash.commands.run_service import with_service
from wsdash.config.settings import load_config
from wsdash.model import Phase
from wsdash.paths import Paths
from wsdash.sanitize import one_line, printable

if TYPE_CHECKING:
    from wsdash.backend.service import CreateRequest, Preview, Service
    from wsdash.backend.store.reader import WorkspaceRow


def create(args: Namespace, paths: Paths) -> int:
    """Show the job that will run, ask, and create the workspace."""
    if paths.notice:
        print_stderr(paths.notice)
    request = _request(args, paths)
    preview = with_service(paths, lambda service: service.creation.preview(request, show_progress))
    _show(preview)
    if not args.yes and can_ask() and not ask("Create it?"):
        print_stderr("Nothing was created.")
        return FAILED
    values = _values(preview, args)
    row = with_service(paths, lambda service: _create(service, preview, args, values))
    name = row.workspace.name
    if args.json:
        from wsdash.commands.json_output import row_json

        print_json(row_json(row, paths))
    else:
        print(f"{name} is created: {row.status.phase} ({one_line(row.status.reason)})")
    if row.status.phase is Phase.FAILED:
        raise UserError(
            f"{name} failed: {one_line(row.status.reason)}",
            f"`wsdash logs {name}` shows its log; `wsdash delete {name}` removes it.",
        )
    if not args.json:
        print_stderr(f"`wsdash ssh {name}` opens a shell in it.")
    return DONE


def _request(args: Namespace, paths: Paths) -> CreateRequest:
    from wsdash.backend.service import CreateRequest

    if args.no_source and args.source:
        raise UserError("a SOURCE and --no-source exclude each other", "Give one of them.", USAGE)
    source = None if args.no_source else args.source or _repository_here()
    return CreateRequest(
        source=source,
        ref=args.ref,
        devfile=args.devfile,
        name=args.name,
        context=args.context or load_config(paths.config_file).default_context,
        main=args.component,
        secrets=tuple(args.secret),
        image=args.image,
    )


def _repository_here() -> str:
    """Return the top folder of the Git repository of the current directory. Raises `UserError`."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise UserError("git is not installed on this machine", "Install it (apt-get install git).") from None
    if found.returncode != 0:
        raise UserError(
            "no SOURCE is given, and the current directory is not in a Git repository",
            "Give a URL or a folder: `wsdash create SOURCE`; or --no-source for an empty workspace.",
            USAGE,
        )
    return found.stdout.removesuffix("\n")


def show_progress(text: str) -> None:
    """Print a step of the preview, if standard error is a terminal."""
    if sys.stderr.isatty():
        print_stderr(f"{one_line(text)} ...")


def _show(preview: Preview) -> None:
    """Print the preview on standard error."""
    facts = {
        "source": f"{preview.source_url or 'none'} at {preview.ref or 'its default branch'}",
        "devfile": preview.devfile_path or "none, the default devfile is used",
        "image": preview.workload.image or "none",
        "runs in": preview.isolation,
    }
    print_stderr(f"Workspace {preview.name} in the context {preview.context}")
    for name, value in facts.items():
        print_stderr(f"  {name:<8} {one_line(value)}")
    print_remarks(preview)
    print_stderr("The job:")
    for line in printable(preview.job).splitlines():
        print_stderr(f"    {line}")


def print_remarks(preview: Preview) -> None:
    """Print the devfile's diagnostics, and the limitations of the context."""
    for remark in preview.diagnostics:
        file = remark.file or preview.devfile_path or "devfile"
        place = f"{file}:{remark.line}:{remark.column}"
        print_stderr(
            one_line(f"{place}: {remark.severity}: {remark.message}")
            + (f" {one_line(remark.hint)}" if remark.hint else "")
        )
    for found in preview.limitations:
        print_stderr(one_line(f"{preview.context}: {found.text}. {found.hint}"))


def _values(preview: Preview, args: Namespace) -> dict[str, str]:
    """Return values for secrets that the context does not have: from the environment for `--secret`, or typed."""
    found = {name: os.environ[name] for name in args.secret if os.environ.get(name)}
    wanted = {secret.name: secret for secret in preview.asks}
    values = {name: value for name, value in found.items() if name in wanted}
    if can_ask() and not args.yes:
        import getpass

        for name, secret in wanted.items():
            if name not in values:
                about = f" ({one_line(secret.description)})" if secret.description else ""
                values[name] = getpass.getpass(f"{name}{about}, not shown; empty for none: ").strip()
    return {name: value for name, value in values.items() if value}


async def _create(
    service: Service, preview: Preview, args: Namespace, values: dict[str, str]
) -> WorkspaceRow:
    workspace = await service.creation.create(preview, values=values)
    await service.daemon.ensure_reconciler()
    if args.wait:
        return await wait_showing(service, workspace, frozenset({Phase.RUNNING, Phase.FAILED}), args.timeout)
    return await service.queries.row(workspace.id)
