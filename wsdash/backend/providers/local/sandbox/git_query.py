"""Runs queries on a workspace's files, inside a sandbox if there is one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from wsdash.backend.providers.local.sandbox import isolation as isolations
from wsdash.backend.providers.local.sandbox.isolation import Host, Isolation, JobPaths
from wsdash.backend.providers.types import CheckoutQuery
from wsdash.backend.system import environments
from wsdash.backend.system.run import capture
from wsdash.workload import Workload


async def ask(
    isolation: Isolation,
    job_paths: JobPaths,
    host: Host,
    workload: Workload,
    environ: Mapping[str, str],
    question: CheckoutQuery,
) -> bytes:
    """Return the output of the query's program; nothing if it cannot be run.

    Without a sandbox it runs as the user, like a job there: it ignores configuration in the files. It gets the
    remotes that outlive the job: see `classify_remote` in unsaved_remotes.sh.
    """
    with tempfile.TemporaryDirectory(prefix="wsdash-") as scratch:

        def prepared() -> tuple[tuple[str, ...] | None, dict[str, str]]:
            env = isolations.job_environment(isolation, job_paths, host.home, environ)
            if isolation.kind == "plain":
                env["TMPDIR"] = scratch
            if not isolation.is_container:
                env["WSDASH_MACHINE"] = "yes"
            if workload.source is not None and outlives(workload.source.url, job_paths):
                env["WSDASH_SOURCE"] = workload.source.url
            argv = isolations.inspect_argv(
                isolation, job_paths, host, workload.image, env, Path(scratch), question.argv
            )
            if isolation.is_container:
                return (argv if job_paths.projects.is_dir() else None), environments.for_git(environ)
            return argv, env

        argv, env = await asyncio.to_thread(prepared)
        if argv is None:
            return b""
        return await answer(argv, env, question.most, question.timeout_s, question.program)


def outlives(url: str, job_paths: JobPaths) -> bool:
    """Whether the address is a repository on this machine's file system, outside of all workspaces' files."""
    path = Path(unquote("/" + url[7:].partition("/")[2]) if url.startswith("file://") else url)
    if not path.is_absolute():
        return False
    try:
        real = path.resolve(strict=True)
        if real.is_relative_to(job_paths.state.resolve()) or real.is_relative_to(
            job_paths.workspace.resolve()
        ):
            return False
        return (real / ".git").exists() or ((real / "HEAD").is_file() and (real / "objects").is_dir())
    except (OSError, RuntimeError, ValueError):
        return False


async def answer(
    argv: tuple[str, ...], env: Mapping[str, str], most: int, timeout_s: float, stdin: bytes = b""
) -> bytes:
    """Return the first bytes of the command's output within the time; nothing if it cannot be started."""
    try:
        return (await capture(argv, limit=most, timeout_s=timeout_s, stdin=stdin, env=env)).output
    except OSError:
        return b""
