"""Detects the kinds of isolation that this machine supports, by running a command in each of them.

Blocking: call it in a thread. The result is stored in `isolation.json` until the next boot.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from wsdash.backend.providers.local.sandbox import isolation as isolations
from wsdash.backend.providers.local.sandbox.isolation import KINDS, Host, Isolation, JobPaths, Kind
from wsdash.backend.system import environments
from wsdash.backend.system.files import json_files
from wsdash.backend.system.processes import boot_id

_TIMEOUT_S = 30.0
_MEMORY = 64 * 1024 * 1024
_BOUND = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/nix")
FORCE = "WSDASH_ISOLATION"
"""The environment variable that names the one kind to use."""

_GAINS: dict[Kind, str] = {
    "podman": "jobs run in the devfile's image",
    "docker": "jobs run in the devfile's image",
    "bubblewrap": "jobs cannot change this machine's files",
    "plain": "",
}


@dataclass(frozen=True, slots=True)
class DetectedIsolation:
    """The best kind that works, the one for workloads without an image, and the reasons why no better one works."""

    best: Isolation
    imageless: Isolation
    notes: tuple[str, ...]


class ProbeError(Exception):
    """A kind does not work here. The message is the reason in its own words."""


def find(root: Path, environ: Mapping[str, str], *, again: bool = False) -> DetectedIsolation:
    """Return the kinds that work here. `again` repeats the tests instead of using their stored result.

    Raises ProbeError if the kind that `WSDASH_ISOLATION` names does not work or is unknown.
    """
    cache = root / "isolation.json"
    key = {
        "boot_id": boot_id(),
        "environ": [environ.get(n, "") for n in (FORCE, "PATH", "HOME", "DOCKER_HOST", "CONTAINER_HOST")],
    }
    kept = json_files.read(cache)
    if kept is not None and kept.get("key") == key and not again:
        found = _from_record(kept)
        if found is not None:
            return found
    found = _look(root, environ)
    record: dict[str, object] = {
        "key": key,
        "best": asdict(found.best),
        "imageless": asdict(found.imageless),
        "notes": found.notes,
    }
    try:
        json_files.write(cache, record)
    except OSError:
        return found
    return found


def read_host(environ: Mapping[str, str]) -> Host:
    """Return the facts that bubblewrap's command line needs."""
    top = [
        (entry.name, str(Path(entry).readlink()) if entry.is_symlink() else None) for entry in os.scandir("/")
    ]
    home = os.path.normpath(environ.get("HOME") or "/")
    usable = home.startswith("/") and home != "/" and (Path(home).is_dir() or home.startswith("/home/"))
    resolver = str(Path("/etc/resolv.conf").resolve().parent)
    return Host(
        top=tuple(sorted(top)),
        home=home if usable else isolations.CONTAINER_HOME,
        resolver=resolver if resolver.startswith("/run/") and Path(resolver).is_dir() else None,
    )


def _look(root: Path, environ: Mapping[str, str]) -> DetectedIsolation:
    forced = _forced(environ)
    kinds = [kind for kind in KINDS if forced in ("", kind) or kind in ("bubblewrap", "plain")]
    working: list[Isolation] = []
    problems: dict[Kind, str] = {}
    for kind in kinds:
        if kind == "docker" and working:
            continue
        try:
            working.append(_probe(kind, root, environ))
        except ProbeError as error:
            problems[kind] = str(error)
    if forced and forced in problems:
        raise ProbeError(f"{FORCE}={forced}, but {problems[forced]}")
    if forced:
        working.sort(key=lambda found: found.kind != forced)
        problems = {}
    best = working[0]
    imageless = next(found for found in working if not found.is_container)
    return DetectedIsolation(best, imageless, tuple(_notes(best, problems, forced)))


def _forced(environ: Mapping[str, str]) -> Kind | Literal[""]:
    named = environ.get(FORCE, "")
    for kind in KINDS:
        if named in (kind, ""):
            return kind if named else ""
    raise ProbeError(f"{FORCE}={named} is not a kind of isolation; use one of {', '.join(KINDS)}")


def _notes(best: Isolation, problems: Mapping[Kind, str], forced: str) -> list[str]:
    notes: list[str] = []
    if not best.is_container:
        notes.append(f"The devfile's image is not used: jobs run in {best.kind} on this machine.")
    elif not best.limits:
        notes.append(f"{best.kind} does not support CPU and memory limits here.")
    if forced:
        notes.append(f"{FORCE}={forced} prevents wsdash from using any other kind.")
    for kind, problem in problems.items():
        better = KINDS.index(kind) < KINDS.index(best.kind) and not best.is_container
        gain = f" Where it works, {_GAINS[kind]}." if better else ""
        notes.append(f"{problem}{gain}")
    notes.append("A workspace has only one container: other components of the devfile are not started.")
    return notes


def _probe(kind: Kind, root: Path, environ: Mapping[str, str]) -> Isolation:
    if kind == "plain":
        return Isolation("plain")
    name = "bwrap" if kind == "bubblewrap" else kind
    program = shutil.which(name, path=environ.get("PATH"))
    if program is None:
        raise ProbeError(f"{kind} is not installed.")
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=root, ignore_cleanup_errors=True) as scratch:
        if kind == "bubblewrap":
            return _probe_bubblewrap(program, root, Path(scratch), environ)
        return _probe_engine(kind, program, Path(scratch), environ)


def _probe_bubblewrap(program: str, root: Path, scratch: Path, environ: Mapping[str, str]) -> Isolation:
    job_paths = JobPaths("probe", workspace=scratch, scripts=scratch / "scripts", state=root)
    for folder in (job_paths.projects, job_paths.home, job_paths.tmp, job_paths.scripts):
        folder.mkdir()
    argv = isolations.bubblewrap_argv(program, job_paths, read_host(environ), ())
    # --info-fd needs a descriptor, which this test does not use.
    at = argv.index("--info-fd")
    trial = [*argv[:at], *argv[at + 2 :], "--", "sh", "-c", "echo works > /projects/file"]
    done = run(trial, environ)
    if done.returncode != 0 or not (job_paths.projects / "file").exists():
        raise ProbeError(f"bubblewrap does not work here: {_words(done)}")
    return Isolation("bubblewrap", program)


def _probe_engine(kind: Kind, program: str, scratch: Path, environ: Mapping[str, str]) -> Isolation:
    imported = run([program, "import", "-", "wsdash-probe"], environ, data=_empty_image())
    image = imported.stdout.decode("utf-8", "replace").split()[-1:]
    if imported.returncode != 0 or not image:
        raise ProbeError(f"{kind} does not work here: {_words(imported)}")
    try:
        user = _fitting_user(kind, program, image[0], scratch, environ)
        base = [*user, *(["--security-opt", "label=disable"] if kind == "podman" else [])]
        limits = _are_limits_kept(program, image[0], scratch, environ, base)
        init = _try(program, image[0], scratch, environ, [*base, "--init"]).returncode == 0
    finally:
        run([program, "rmi", "--force", image[0]], environ)
    return Isolation(kind, program, user=tuple(user), limits=limits, init=init)


def _fitting_user(
    kind: Kind, program: str, image: str, scratch: Path, environ: Mapping[str, str]
) -> list[str]:
    """Return options with which a container's files on this machine belong to the user."""
    own = f"{os.getuid()}:{os.getgid()}"
    choices = [["--userns=keep-id", "--user", own], []] if kind == "podman" else [["--user", own], []]
    reason = ""
    for choice in choices if os.getuid() != 0 else [[]]:
        done = _try(program, image, scratch, environ, choice)
        made = scratch / "file"
        if done.returncode == 0 and made.exists() and made.stat().st_uid == os.getuid():
            return choice
        reason = _words(done) if done.returncode else "its files here would belong to another user."
    raise ProbeError(f"{kind} does not work here: {reason}")


def _are_limits_kept(
    program: str, image: str, scratch: Path, environ: Mapping[str, str], options: list[str]
) -> bool:
    """Whether a limit reaches the container's control group: an engine without support does not report that."""
    limited = [*options, "--memory", str(_MEMORY), "--cpus", "1"]
    files = "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    line = (
        f"for file in {files}; do read -r value <$file && echo $value >>/probe/file; done 2>/dev/null; true"
    )
    done = _try(program, image, scratch, environ, limited, line)
    made = scratch / "file"
    return done.returncode == 0 and made.exists() and str(_MEMORY) in made.read_text().split()


def _try(
    program: str,
    image: str,
    scratch: Path,
    environ: Mapping[str, str],
    options: list[str],
    line: str = "echo works >/probe/file",
) -> subprocess.CompletedProcess[bytes]:
    """Run this machine's own sh in a container of the empty image, because there may be no other image."""
    (scratch / "file").unlink(missing_ok=True)
    argv = [program, "run", "--rm", "--network", "none", "--pull", "never", *options]
    argv += ["--mount", f"type=bind,source={scratch},target=/probe"]
    for folder in _BOUND:
        if Path(folder).exists():
            argv += ["--mount", f"type=bind,source={Path(folder).resolve()},target={folder},readonly"]
    return run([*argv, image, "/bin/sh", "-c", line], environ)


def _empty_image() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("proc", "dev", "sys", "etc", "tmp", "probe", *(folder[1:] for folder in _BOUND)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
    return data.getvalue()


def run(argv: list[str], environ: Mapping[str, str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    # An engine leaves processes running with its environment (podman's pause process): it contains no token.
    """Run a command to its end; a timeout or a failed start gives exit code 1 and the reason as errors."""
    try:
        return subprocess.run(
            argv,
            input=data,
            capture_output=True,
            timeout=_TIMEOUT_S,
            env=environments.for_git(environ),
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, b"", f"no answer within {_TIMEOUT_S:.0f} s".encode())
    except OSError as error:
        return subprocess.CompletedProcess(argv, 1, b"", str(error).encode())


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    words = (lines[-1] if lines else f"exit code {done.returncode}").strip()[:200]
    return words if words.endswith((".", "?")) else f"{words}."


def _from_record(record: dict[str, object]) -> DetectedIsolation | None:
    best, imageless, notes = _kind(record.get("best")), _kind(record.get("imageless")), record.get("notes")
    if best is None or imageless is None or not isinstance(notes, list):
        return None
    return DetectedIsolation(best, imageless, tuple(map(str, notes)))


def _kind(record: object) -> Isolation | None:
    if not isinstance(record, dict):
        return None
    try:
        return Isolation(**{**record, "user": tuple(record["user"])})
    except (TypeError, KeyError):
        return None
