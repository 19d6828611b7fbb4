"""The devfile's elements as typed values, schema 2.0.0 to 2.3.0 in one set of classes.

Source: devfile/api, schemas/latest/devfile.json at v2.0.0, v2.1.0, v2.2.0 and v2.2.2; the other versions
are structurally equal to one of these. `Since` marks a field that was added in a later version than 2.0.0, and
`Template` one in which `{{variables}}` are substituted (devfile/api, pkg/validation/variables).
Field names are the devfile's own, in Python's spelling: `memoryLimit` is `memory_limit`.
An absent string is the empty string: the format does not distinguish them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Since:
    """Marks a field with the schema version that introduced it."""

    version: str


@dataclass(frozen=True, slots=True)
class Template:
    """Marks a field in which `{{variables}}` are substituted. `by_us`: only wsdash does; the reference parser
    does not.
    """

    by_us: bool = False


V21, V22, V222 = Since("2.1.0"), Since("2.2.0"), Since("2.2.2")
TEMPLATE, OUR_TEMPLATE = Template(), Template(by_us=True)

_T = TypeVar("_T")


def _not_null(value: object) -> object:
    if value is None:
        raise PydanticCustomError("null", "null")
    return value


def _whole(value: object) -> object:
    """Return `8080.0` as an integer, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Given = Annotated[_T | None, BeforeValidator(_not_null)]
"""A value that may be absent but not null."""
Str = StrictStr
Bool = StrictBool
Text = Annotated[StrictStr, TEMPLATE]
Texts = Annotated[tuple[StrictStr, ...], TEMPLATE]
Integer = Annotated[StrictInt, BeforeValidator(_whole), Field(ge=-(2**63), lt=2**63)]
Name = Annotated[StrictStr, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
_SEMVER = r"([0-9]+)\.([0-9]+)\.([0-9]+)(-[0-9a-z-]+(\.[0-9a-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$"
Semver = Annotated[StrictStr, Field(pattern="^" + _SEMVER)]
Attributes = dict[StrictStr, Any]
StrMap = dict[StrictStr, StrictStr]


class Element(BaseModel):
    """The base of all elements: immutable, and unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False)


class Metadata(Element):
    """The metadata. Other keys are allowed, so it is the same in all versions."""

    model_config = ConfigDict(extra="allow")

    name: Str = ""
    version: Semver = ""
    display_name: Str = ""
    description: Str = ""
    icon: Str = ""
    tags: tuple[Str, ...] = ()
    architectures: tuple[Literal["amd64", "arm64", "ppc64le", "s390x"], ...] = ()
    language: Str = ""
    project_type: Str = ""
    provider: Str = ""
    support_url: Str = ""
    website: Str = ""
    global_memory_limit: Str = ""
    attributes: Attributes = {}


class EnvEntry(Element):
    """An environment variable of a container or command."""

    name: Text
    value: Text


class Endpoint(Element):
    """A port that a container listens on, and how it is exposed."""

    name: Name
    target_port: Integer
    exposure: Literal["public", "internal", "none"] = "public"
    protocol: Literal["http", "https", "ws", "wss", "tcp", "udp"] = "http"
    secure: Bool = False
    path: Text = ""
    attributes: Attributes = {}
    annotation: Annotated[StrMap, V22] = {}


class VolumeMount(Element):
    """Mounts the volume component `name` at `path`, by default `/NAME`."""

    name: Name
    path: Text = ""


class Annotation(Element):
    """Annotations of the Kubernetes Deployment and Service made for a container."""

    deployment: StrMap = {}
    service: StrMap = {}


class Container(Element):
    """A container component. Memory and CPU are Kubernetes quantities."""

    image: Text
    command: Texts = ()
    args: Texts = ()
    env: tuple[EnvEntry, ...] = ()
    memory_limit: Text = ""
    memory_request: Annotated[Text, V21] = ""
    cpu_limit: Annotated[Str, V21, OUR_TEMPLATE] = ""
    cpu_request: Annotated[Str, V21, OUR_TEMPLATE] = ""
    mount_sources: Given[Bool] = None
    source_mapping: Text = "/projects"
    dedicated_pod: Bool = False
    volume_mounts: tuple[VolumeMount, ...] = ()
    annotation: Annotated[Given[Annotation], V22] = None
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def mounts_sources(self) -> bool:
        """Whether the sources are mounted: by default true, but false in a pod of its own (devfile/api,
        component_container.go).
        """
        return not self.dedicated_pod if self.mount_sources is None else self.mount_sources


class Volume(Element):
    """A volume component; `size` is a Kubernetes quantity."""

    size: Text = ""
    ephemeral: Annotated[Bool, V21] = False


class Manifest(Element):
    """A Kubernetes or OpenShift component."""

    uri: Annotated[Given[Str], TEMPLATE] = None
    inlined: Annotated[Given[Str], TEMPLATE] = None
    deploy_by_default: Annotated[Bool, V22] = False
    endpoints: tuple[Endpoint, ...] = ()


class CheckoutFrom(Element):
    """The revision to check out, and the remote to take it from."""

    revision: Text = ""
    remote: Text = ""


class Git(Element):
    """A Git source: the addresses of its remotes by name."""

    remotes: Annotated[StrMap, TEMPLATE]
    checkout_from: Given[CheckoutFrom] = None


class DockerfileGit(Git):
    """A Dockerfile in a Git repository, at the path `file_location`."""

    file_location: Text = ""


class DevfileRegistry(Element):
    """A Dockerfile of the stack `id` in a devfile registry."""

    id: Text
    registry_url: Text = ""


class Dockerfile(Element):
    """The source and the build options of an image; one of `uri`, `devfile_registry` and `git` is set."""

    uri: Annotated[Given[Str], TEMPLATE] = None
    devfile_registry: Given[DevfileRegistry] = None
    git: Given[DockerfileGit] = None
    build_context: Text = ""
    args: Texts = ()
    root_required: Bool = False


class Image(Element):
    """An image component, built from a Dockerfile."""

    image_name: Text
    dockerfile: Dockerfile
    auto_build: Bool = False


class Component(Element):
    """A named component of exactly one type, whose field is set."""

    name: Name
    attributes: Attributes = {}
    container: Given[Container] = None
    volume: Given[Volume] = None
    kubernetes: Given[Manifest] = None
    openshift: Given[Manifest] = None
    image: Annotated[Given[Image], V22] = None

    @property
    def kind(self) -> str:
        """The name of its type: `container`, `volume`, `kubernetes`, `openshift` or `image`."""
        return next(
            k for k in ("container", "volume", "kubernetes", "openshift", "image") if getattr(self, k)
        )


class Group(Element):
    """The group of a command, and whether the command is the group's default."""

    kind: Literal["build", "run", "test", "debug", "deploy"]
    is_default: Bool = False


class Exec(Element):
    """Runs a command line in a container component."""

    command_line: Text
    component: Str
    working_dir: Text = ""
    env: tuple[EnvEntry, ...] = ()
    hot_reload_capable: Bool = False
    label: Text = ""
    group: Given[Group] = None


class Apply(Element):
    """Starts or deploys a component."""

    component: Str
    label: Text = ""
    group: Given[Group] = None


class Composite(Element):
    """Runs other commands by their ids, one after another or in parallel."""

    commands: tuple[Str, ...] = ()
    parallel: Bool = False
    label: Text = ""
    group: Given[Group] = None


class Command(Element):
    """A command of exactly one type, whose field is set."""

    id: Name
    attributes: Attributes = {}
    exec: Given[Exec] = None
    apply: Given[Apply] = None
    composite: Given[Composite] = None

    @property
    def kind(self) -> str:
        """The name of its type: `exec`, `apply` or `composite`."""
        return "exec" if self.exec else "apply" if self.apply else "composite"

    @property
    def group(self) -> Group | None:
        """The group of the command, whatever its type."""
        body = self.exec or self.apply or self.composite
        return body.group if body else None


class Events(Element):
    """The ids of the commands that each event runs."""

    pre_start: tuple[Str, ...] = ()
    post_start: tuple[Str, ...] = ()
    pre_stop: tuple[Str, ...] = ()
    post_stop: tuple[Str, ...] = ()


class Zip(Element):
    """A source that is a zip archive at an address."""

    location: Text = ""


class Project(Element):
    """A project to clone; `clone_path` is relative to the projects folder."""

    name: Name
    attributes: Attributes = {}
    clone_path: Text = ""
    git: Given[Git] = None
    zip: Given[Zip] = None


class StarterProject(Element):
    """An example project from which a new one can start. wsdash does not use it."""

    name: Name
    attributes: Attributes = {}
    description: Text = ""
    sub_dir: Text = ""
    git: Given[Git] = None
    zip: Given[Zip] = None


class KubernetesParent(Element):
    """A parent that is a DevWorkspaceTemplate in a Kubernetes cluster."""

    name: Str
    namespace: Str = ""


class Parent(Element):
    """The parent, and overrides of its elements, which need only a name or id and so are kept as written."""

    uri: Given[Str] = None
    id: Given[Str] = None
    kubernetes: Given[KubernetesParent] = None
    registry_url: Str = ""
    version: Annotated[Str, V22, Field(pattern=r"^(latest)|(" + _SEMVER[:-1] + ")$")] = ""
    attributes: Annotated[Attributes, V21] = {}
    variables: Annotated[StrMap, V21] = {}
    components: tuple[Attributes, ...] = ()
    commands: tuple[Attributes, ...] = ()
    projects: tuple[Attributes, ...] = ()
    starter_projects: tuple[Attributes, ...] = ()
    dependent_projects: Annotated[tuple[Attributes, ...], V222] = ()


class Devfile(Element):
    """The whole document."""

    schema_version: Str
    metadata: Given[Metadata] = None
    attributes: Annotated[Attributes, V21] = {}
    variables: Annotated[StrMap, V21] = {}
    components: tuple[Component, ...] = ()
    commands: tuple[Command, ...] = ()
    events: Given[Events] = None
    projects: tuple[Project, ...] = ()
    dependent_projects: Annotated[tuple[Project, ...], V222] = ()
    starter_projects: tuple[StarterProject, ...] = ()
    parent: Given[Parent] = None
