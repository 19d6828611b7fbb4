"""Previews and creates workspaces: reads the source, translates the devfile."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from wsdash.backend.clone_address import BadAddress, Credential, settings_for, split, taken_out
from wsdash.backend.errors import UserError, as_failure
from wsdash.backend.git.hide_secrets import SecretHider
from wsdash.backend.git.source import open_repository, own_identity, remote_of
from wsdash.backend.operations import context_file
from wsdash.backend.operations.contexts import Contexts
from wsdash.backend.operations.devfile_source import Description, Fetch, described_here, described_in, fetcher
from wsdash.backend.operations.lifecycle import Lifecycle
from wsdash.backend.operations.personalize import with_personal
from wsdash.backend.operations.queries import Queries
from wsdash.backend.operations.state import State
from wsdash.backend.providers.errors import ProviderError
from wsdash.backend.providers.features import ChecksWorkload, ClonesByNetwork, secret_store_of
from wsdash.backend.providers.types import Capabilities, Limitation
from wsdash.backend.store.store import NameTaken
from wsdash.config.settings import Personal
from wsdash.model import Desired, Policy, Workspace
from wsdash.workload import NO_USER, GitIdentity, Secret, Source, Workload, names_a_user

if TYPE_CHECKING:
    from wsdash.devfile import Diagnostic

T = TypeVar("T")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """The user's request. `source` None means no repository; it may contain a secret until `split_request`.

    `devfile` is a path in the repository or a file on this machine; `main` names the component to run if
    several are possible. An empty context means the default one of config.toml. `secrets` are names of
    variables that the provider gives the job, in addition to those in the devfile. `image` replaces the
    devfile's image, for example by one that was built before.
    """

    source: str | None = field(repr=False)
    ref: str | None = None
    devfile: str | None = None
    name: str | None = None
    context: str = "local"
    main: str | None = None
    secrets: tuple[str, ...] = ()
    image: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Preview:
    """The workspace as it would be created: shown before the user confirms, then created exactly so.

    `devfile_path` is None if the default devfile is used. `job` is the rendered job, as text.
    """

    name: str
    context: str
    source_url: str | None
    ref: str | None
    devfile_path: str | None
    workload: Workload
    diagnostics: tuple[Diagnostic, ...]
    job: str
    isolation: str
    limitations: tuple[Limitation, ...] = ()
    """Requests of the workload that the context does not support."""
    credentials: tuple[Credential, ...] = ()
    """The credentials that were removed from the addresses that its job clones."""

    @property
    def asks(self) -> tuple[Secret, ...]:
        """The secrets without a value in the context, whose values may be given to `Service.create`."""
        return tuple(limitation.secret for limitation in self.limitations if limitation.secret is not None)


def free_name(request: CreateRequest, taken: set[str]) -> str:
    """Return the requested name, or a free one derived from the source. Raises `UserError`."""
    if request.name:
        check_name(request.name)
        if request.name in taken:
            raise UserError(
                f"the workspace {request.name} already exists", "Choose another name.", field="name"
            )
        return request.name
    source = request.source or "workspace"
    with suppress(OSError):  # of a folder that cannot be entered, which is reported when it is read
        if Path(source).is_dir():
            source = str(Path(source).resolve())
    stem = project_name(source)
    return next_name(re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "workspace", taken)


def check_name(name: str) -> None:
    """Check that a text can be a workspace's name. Raises `UserError`."""
    if not NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is not a valid name",
            "Use at most 63 lower-case letters, digits and dashes; no dash first or last.",
            field="name",
        )


def next_name(stem: str, taken: Collection[str]) -> str:
    """Return the name itself if it is free, else the first free one with a number."""
    stem = stem[:58].strip("-")
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def project_name(url: str) -> str:
    """Return the last part of a repository's address without `.git`, as a valid folder name."""
    last = PurePosixPath(url.rstrip("/").removesuffix(".git").replace(":", "/")).name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.") or "project"


def split_request(request: CreateRequest) -> tuple[CreateRequest, tuple[Credential, ...]]:
    """Return the request with a clean address, and the credential that was removed from it, for its whole host.

    Submodules need the credential too. Raises `UserError`.
    """
    if request.source is None:
        return request, ()
    address, found = split_address(request.source)
    return replace(request, source=address), tuple(one.for_host() for one in found)


def split_address(address: str, field: str = "source") -> tuple[str, tuple[Credential, ...]]:
    """Split an address as `clone_address.split` does. Raises `UserError`."""
    try:
        clean, credential = split(address)
    except BadAddress as error:
        raise UserError(str(error), error.hint, field=field) from None
    return clean, () if credential is None else (credential,)


async def address_for(request: CreateRequest) -> CreateRequest:
    """Return the request as a remote runner can use it: a local folder becomes the address that it is pushed to.

    That address may contain a secret, like a typed one. Raises `SourceError`.
    """
    folder = await asyncio.to_thread(_folder_here, request.source)
    if folder is None:
        return request
    return replace(request, source=await remote_of(folder))


def _folder_here(source: str | None) -> str | None:
    folder = None if source is None else Path(source).expanduser()
    return str(folder) if folder is not None and os.path.exists(folder) else None  # noqa: PTH110


async def look_and_translate(
    request: CreateRequest,
    name: str,
    capabilities: Capabilities,
    progress: Callable[[str], None],
    git_environ: Mapping[str, str] | None = None,
    fetch: Fetch | None = None,
    personal: Personal = Personal(),  # noqa: B008
    identity: GitIdentity | None = None,
) -> Preview:
    """Fetch the devfile and translate it into a workload. Raises `WsdashError` for any problem with either.

    `git_environ` is added to Git's environment, for example credentials. `fetch` gets parents from other
    addresses, by default from public hosts only. `personal` has the settings for all of the user's workspaces,
    and `identity` the user's name and email address for Git.
    """
    if request.image and names_a_user(request.image):
        raise UserError(*NO_USER, field="image")
    if request.ref in ("HEAD", "@"):
        # These name the default branch, which a job cannot check out under them.
        request = replace(request, ref=None)
    fetch = fetch or fetcher()
    if request.source is None:
        found = await described_here(request.devfile, fetch)
        return _preview(request, name, capabilities, None, found, personal, identity)
    progress(f"fetching {request.source}")
    async with open_repository(request.source, request.ref, git_environ) as seen:
        progress("reading the devfile")
        found = await described_in(seen, request.devfile, fetch)
        return _preview(request, name, capabilities, seen.url, found, personal, identity)


def _preview(
    request: CreateRequest,
    name: str,
    capabilities: Capabilities,
    url: str | None,
    found: Description,
    personal: Personal,
    identity: GitIdentity | None,
) -> Preview:
    from wsdash.backend.job.render import render

    source = None if url is None else Source(url, request.ref, project_name(url))
    translation = found.translate(source=source, main=request.main, image=request.image)
    secrets = {secret.name: secret for secret in translation.workload.secrets}
    secrets |= {name: secrets.get(name, Secret(name)) for name in request.secrets}
    workload = replace(
        with_personal(translation.workload, personal, identity), secrets=tuple(secrets.values())
    )
    workload, credentials = taken_out(workload)
    try:
        job = render(SecretHider().of_workload(workload))
    except ValueError as error:
        raise UserError(
            f"the devfile cannot be rendered as a job: {error}", "Change the devfile.", field="devfile"
        ) from error
    return Preview(
        name=name,
        context=request.context,
        source_url=workload.source.url if workload.source else None,
        ref=request.ref,
        devfile_path=found.path,
        workload=workload,
        diagnostics=(*translation.diagnostics, *_not_started(workload, found, capabilities)),
        job=job,
        isolation=capabilities.isolation,
        credentials=credentials,
    )


def _not_started(workload: Workload, found: Description, capabilities: Capabilities) -> Iterator[Diagnostic]:
    """Yield a remark for each container that the provider does not start in addition to the main one."""
    from wsdash.devfile import Diagnostic

    if capabilities.starts_services:
        return
    for service in workload.services:
        mark = found.mark_of_service(service.name)
        yield Diagnostic(
            mark.line,
            mark.column,
            "warning",
            "provider.services",
            f"the container {service.name} is not started: a workspace has only one container here",
            "Start its service by hand, or use a context that starts services.",
            file=mark.file,
        )


class Creation:
    """Previews new workspaces, and creates them exactly as previewed."""

    def __init__(self, state: State, queries: Queries, lifecycle: Lifecycle, contexts: Contexts) -> None:
        self._state = state
        self._queries = queries
        self._lifecycle = lifecycle
        self._contexts = contexts

    async def preview(
        self, request: CreateRequest, progress: Callable[[str], None] = lambda _: None
    ) -> Preview:
        """Read the source and show what would be created. Raises `WsdashError`."""
        request = replace(request, context=request.context or (await self._contexts.config()).default_context)
        request, credentials = split_request(request)
        rows = await self._queries.workspaces()
        name = free_name(request, {row.workspace.name for row in rows})
        return await self.look_at(request, name, progress, credentials)

    async def look_at(
        self,
        request: CreateRequest,
        name: str,
        progress: Callable[[str], None],
        credentials: tuple[Credential, ...],
    ) -> Preview:
        """Read the source and translate its devfile into a preview of the workspace `name`. Raises
        `WsdashError`.
        """
        config = await self._contexts.config()
        provider = self._state.provider_of(request.context)
        progress("checking what jobs support here")
        capabilities = await provider.capabilities()
        git_environ: dict[str, str] = {}
        if isinstance(provider, ClonesByNetwork):
            request, found_here = split_request(await address_for(request))
            credentials = (*found_here, *credentials)
            with as_failure():
                git_environ = await provider.git_environ()
        fetch = fetcher(*context_file.hosts_of(config.contexts[request.context]))
        identity = await own_identity() if config.personal.git_identity else None
        personal = config.personal
        own: tuple[Credential, ...] = ()
        if personal.dotfiles is not None:
            address, own = split_address(personal.dotfiles, "")
            personal = replace(personal, dotfiles=address)
        git_environ |= settings_for(credentials, {**os.environ, **git_environ})
        found = await look_and_translate(
            request, name, capabilities, progress, git_environ, fetch, personal, identity
        )
        limitations: tuple[Limitation, ...] = ()
        if isinstance(provider, ChecksWorkload):
            progress("checking what the context supports")
            limitations = tuple(await provider.limitations(found.workload))
        return replace(found, limitations=limitations, credentials=(*own, *credentials, *found.credentials))

    async def create(
        self, preview: Preview, policy: Policy | None = None, values: Mapping[str, str] | None = None
    ) -> Workspace:
        """Create exactly what the preview showed, with the desired state running. Raises `WsdashError`.

        `values` are those of secrets, by name; only the provider stores them.
        """
        from wsdash.config.settings import policy_for

        for name, value in (values or {}).items():
            self.check_secret(preview.context, name, value)
        now = self._state.clock()
        workspace = Workspace(
            id=secrets.token_hex(5),
            name=preview.name,
            context=preview.context,
            source_url=preview.source_url,
            ref=preview.ref,
            devfile_path=preview.devfile_path,
            # A job must not start before its secrets are stored, and stored secrets must belong to a workspace.
            desired=Desired.STOPPED if values or preview.credentials else Desired.RUNNING,
            generation=1,
            policy=policy or policy_for(self._state.paths.config_file, preview.context),
            created_at=now,
            desired_changed_at=now,
        )
        text = f"created from {preview.source_url or 'no source'} at {preview.ref or 'the default branch'}"
        try:
            await self._state.store.create_workspace(workspace, preview.workload, text)
        except NameTaken:
            raise UserError(
                f"the workspace {preview.name} already exists", "Choose another name.", field="name"
            ) from None
        if values or preview.credentials:
            await self._keep_secrets(workspace, preview, values or {})
            return await self._lifecycle.set_desired_state(
                workspace, Desired.RUNNING, new_generation=False, text="its secrets are stored"
            )
        self._state.nudge(workspace.id)
        return workspace

    async def _keep_secrets(self, workspace: Workspace, preview: Preview, values: Mapping[str, str]) -> None:
        try:
            provider = secret_store_of(self._state.provider(workspace))
            if preview.credentials:
                await provider.keep_credentials(workspace, preview.workload, preview.credentials)
            if values:
                await provider.keep_secrets(workspace, values)
        except ProviderError:
            await self._lifecycle.set_desired_state(
                workspace, Desired.DELETED, new_generation=False, text="its secrets cannot be stored"
            )
            raise

    def check_secret(self, context: str, name: str, value: str, field: str = "") -> None:
        """Check that the context can store the value. Raises `WsdashError`, with the field."""
        provider = self._state.provider_of(context)
        with as_failure(field):
            secret_store_of(provider).check_secret(name, value)
