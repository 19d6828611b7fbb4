"""Creates the folder of an attempt's job: scripts, secrets, and its supervisor's `spec.json`. Every call blocks."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from wsdash.backend.git.credential_files import KeptCredentials
from wsdash.backend.job.render import idle_settings, render, scripts
from wsdash.backend.providers.errors import PermanentError, ProviderError
from wsdash.backend.providers.local import job_spec, recovery
from wsdash.backend.providers.local.files import remove
from wsdash.backend.providers.local.layout import JobFiles, Layout, checked_id
from wsdash.backend.providers.local.sandbox import detect
from wsdash.backend.providers.local.sandbox import isolation as isolations
from wsdash.backend.providers.local.sandbox.isolation import Isolation, JobPaths
from wsdash.backend.system.files import json_files, locks
from wsdash.model import Attempt, Workspace
from wsdash.paths import make_folder, write_private
from wsdash.workload import Workload


class Launcher:
    """Prepares jobs below `layout`. `isolation` None means the best that works here, tested once after each boot."""

    def __init__(
        self,
        layout: Layout,
        credentials: KeptCredentials,
        *,
        clock: Callable[[], float],
        isolation: Isolation | None,
        environ: Mapping[str, str],
        settings: Mapping[str, str],
    ) -> None:
        self._layout = layout
        self._credentials = credentials
        self._clock = clock
        self._isolation = isolation
        self._environ = environ
        self._settings = settings

    def prepare(self, files: JobFiles, workspace: Workspace, attempt: Attempt, workload: Workload) -> None:
        """Create the workspace's folders and the attempt's folder, the latter completely or not at all."""
        self._layout.make()
        if files.spec.exists():
            return
        try:
            rendered = render(workload)
            volumes = [checked_id(volume.name) for volume in workload.volumes]
        except ValueError as error:
            raise PermanentError(
                f"the workload cannot be rendered as a job: {error}", "Change the devfile."
            ) from error
        job_paths = self.job_paths(workspace, attempt.id)
        spec = self._spec(workspace, attempt, workload, job_paths)
        for folder in (
            job_paths.projects,
            job_paths.home,
            job_paths.tmp,
            *(job_paths.workspace / "volumes" / v for v in volumes),
        ):
            make_folder(folder)
        with locks.filling(self._layout.jobs):
            self._fill(files, workspace, spec, recovery.record_of(workspace, workload), rendered)

    def _fill(
        self,
        files: JobFiles,
        workspace: Workspace,
        spec: dict[str, object],
        record: dict[str, object],
        rendered: str,
    ) -> None:
        draft = JobFiles(files.folder.with_name(f".{files.folder.name}.{secrets.token_hex(4)}"))
        try:
            draft.folder.mkdir(mode=0o700)
            # The owner is written first: by it a delete finds the folder.
            json_files.write(draft.spec, spec)
            json_files.write(draft.workspace, record)
            draft.scripts.mkdir(mode=0o700)
            for name, text in (scripts() | {"workload.sh": rendered.encode()}).items():
                write_private(draft.scripts / name, text)
            given = self._layout.secrets_of(workspace.id)
            if given.exists():
                shutil.copy(given, draft.scripts / "secrets.sh")
            credentials = self._credentials.file(workspace.id)
            if credentials.exists():
                shutil.copy(credentials, draft.scripts / "git-credentials")
            draft.folder.rename(files.folder)
        except OSError:
            remove.remove(draft.folder, self._layout.trash, workspace.id)
            # Another process may have launched or cancelled the attempt meanwhile.
            if not files.folder.exists():
                raise

    def _spec(
        self, workspace: Workspace, attempt: Attempt, workload: Workload, job_paths: JobPaths
    ) -> dict[str, object]:
        found = self.found(again=False)
        isolation = (
            found.best if workload.image is not None or not found.best.is_container else found.imageless
        )
        host = detect.read_host(self._environ)
        folders = frozenset(volume.path for volume in workload.volumes if Path(volume.path).is_dir())
        return job_spec.spec(
            attempt,
            workload,
            isolation=isolation,
            job_paths=job_paths,
            host=host,
            env=isolations.job_environment(isolation, job_paths, host.home, self._environ),
            settings={
                "WSDASH_BEAT_S": f"{workspace.policy.beat_s:g}",
                **idle_settings(workspace.policy),
                **self._settings,
            },
            unmounted=isolations.unmountable(isolation, host, workload.volumes, folders),
            notes=_isolation_notes(isolation, workload),
            at=self._clock(),
        )

    def found(self, again: bool) -> detect.DetectedIsolation:
        """Return the kinds of isolation that work here; `again` repeats the tests. Raises `PermanentError`."""
        if self._isolation is not None:
            imageless = Isolation("plain") if self._isolation.is_container else self._isolation
            return detect.DetectedIsolation(self._isolation, imageless, ())
        try:
            self._layout.make()
            return detect.find(self._layout.root, self._environ, again=again)
        except detect.ProbeError as error:
            raise PermanentError(str(error), f"Unset {detect.FORCE}, or make that kind work.") from error
        except OSError as error:
            raise as_provider_error(error) from error

    def job_paths(self, workspace: Workspace, attempt_id: str) -> JobPaths:
        """Return the places of the attempt's files on this machine."""
        return JobPaths(
            attempt_id,
            workspace=self.workspace(workspace),
            scripts=self._layout.job(attempt_id).scripts,
            state=self._layout.root,
            name=workspace.name,
        )

    def isolation_of(self, kind: str) -> Isolation:
        """Return the isolation that a job runs in, which may differ from that of a new job."""
        found = self.found(again=False)
        for isolation in (found.best, found.imageless):
            if isolation.kind == kind:
                return isolation
        if kind not in isolations.KINDS:
            raise PermanentError(f"the job runs in {kind!r}, which is not a known kind of isolation")
        return Isolation(kind, {"bubblewrap": "bwrap"}.get(kind, kind))

    def workspace(self, workspace: Workspace) -> Path:
        """Return the workspace's folder. Raises `PermanentError` for an invalid id."""
        try:
            return self._layout.workspace(workspace.id)
        except ValueError as error:
            raise PermanentError(str(error)) from error

    def files(self, attempt: Attempt) -> JobFiles:
        """Return the files of the attempt's job. Raises `PermanentError` for an invalid id."""
        try:
            return self._layout.job(attempt.id)
        except ValueError as error:
            raise PermanentError(str(error)) from error


def _isolation_notes(isolation: Isolation, workload: Workload) -> tuple[str, ...]:
    if isolation.is_container:
        limited = workload.resources.cpu_limit or workload.resources.memory_limit
        return (
            (f"{isolation.kind} does not support CPU and memory limits here.",)
            if limited and not isolation.limits
            else ()
        )
    if workload.image is None:
        return (f"the job runs in {isolation.kind}: the devfile names no image.",)
    return (f"the job runs in {isolation.kind}: the image {workload.image} is not used.",)


def as_provider_error(error: OSError) -> ProviderError:
    """Return the error as a provider's, with a hint for a full disk."""
    where = f": {error.filename}" if error.filename else ""
    return ProviderError(f"{(error.strerror or str(error)).lower()}{where}", space_hint(str(error)))


def space_hint(text: str) -> str:
    """Return the hint for an error that reports a full disk, "" for any other."""
    return "Free some disk space." if "No space left" in text else ""
