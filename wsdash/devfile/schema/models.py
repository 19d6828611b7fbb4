"""The devfile's elements as typed values, schema 2.0.0 to 2.3.0 in one set of classes.

Source: devfile/api, schemas/latest/devfile.json at v2.0.0, v2.1.0, v2.2.0 and v2.2.2; the other versions
are structurally equal to one of these. `Since` marks a field that came with a later version than 2.0.0, and
`Template` one in which `{{variables}}` are substituted (devfile/api, pkg/validation/variables).
Field names are the devfile's own, in Python's spelling: `memoryLimit` is `memory_limit`.
An absent string is the empty string: the format does not tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


@dataclass(frozen=True, slots=True)
class Since:
    version: str


@dataclass(frozen=True, slots=True)
class Template:
    """`by_us` marks fields that only wsdash substitutes in; the reference parser forgets them."""

    by_us: bool = False


V21, V22, V222 = Since("2.1.0"), Since("2.2.0"), Since("2.2.2")
TEMPLATE, OUR_TEMPLATE = Template(), Template(by_us=True)

_T = TypeVar("_T")


def _not_null(value: object) -> object:
    if value is None:
        raise PydanticCustomError("null", "null")
    return value


def _whole(value: object) -> object:
    """`8080.0` is an integer to JSON Schema."""
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
    """What all elements share: unknown fields are found, nothing can be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False)


class Metadata(Element):
    """Open to other keys, and the same in all versions for that reason."""

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
    name: Text
    value: Text


class Endpoint(Element):
    name: Name
    target_port: Integer
    exposure: Literal["public", "internal", "none"] = "public"
    protocol: Literal["http", "https", "ws", "wss", "tcp", "udp"] = "http"
    secure: Bool = False
    path: Text = ""
    attributes: Attributes = {}
    annotation: Annotated[StrMap, V22] = {}


class VolumeMount(Element):
    name: Name
    path: Text = ""


class Annotation(Element):
    deployment: StrMap = {}
    service: StrMap = {}


class Container(Element):
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
        """Default true, but false in a pod of its own (devfile/api, component_container.go)."""
        return not self.dedicated_pod if self.mount_sources is None else self.mount_sources


class Volume(Element):
    size: Text = ""
    ephemeral: Annotated[Bool, V21] = False


class Manifest(Element):
    """A Kubernetes or OpenShift component."""

    uri: Annotated[Given[Str], TEMPLATE] = None
    inlined: Annotated[Given[Str], TEMPLATE] = None
    deploy_by_default: Annotated[Bool, V22] = False
    endpoints: tuple[Endpoint, ...] = ()


class CheckoutFrom(Element):
    revision: Text = ""
    remote: Text = ""


class Git(Element):
    remotes: Annotated[StrMap, TEMPLATE]
    checkout_from: Given[CheckoutFrom] = None


class DockerfileGit(Git):
    file_location: Text = ""


class DevfileRegistry(Element):
    id: Text
    registry_url: Text = ""


class Dockerfile(Element):
    uri: Annotated[Given[Str], TEMPLATE] = None
    devfile_registry: Given[DevfileRegistry] = None
    git: Given[DockerfileGit] = None
    build_context: Text = ""
    args: Texts = ()
    root_required: Bool = False


class Image(Element):
    image_name: Text
    dockerfile: Dockerfile
    auto_build: Bool = False


class Component(Element):
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
    kind: Literal["build", "run", "test", "debug", "deploy"]
    is_default: Bool = False


class Exec(Element):
    command_line: Text
    component: Str
    working_dir: Text = ""
    env: tuple[EnvEntry, ...] = ()
    hot_reload_capable: Bool = False
    label: Text = ""
    group: Given[Group] = None


class Apply(Element):
    component: Str
    label: Text = ""
    group: Given[Group] = None


class Composite(Element):
    commands: tuple[Str, ...] = ()
    parallel: Bool = False
    label: Text = ""
    group: Given[Group] = None


class Command(Element):
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
        body = self.exec or self.apply or self.composite
        return body.group if body else None


class Events(Element):
    pre_start: tuple[Str, ...] = ()
    post_start: tuple[Str, ...] = ()
    pre_stop: tuple[Str, ...] = ()
    post_stop: tuple[Str, ...] = ()


class Zip(Element):
    location: Text = ""


class Project(Element):
    name: Name
    attributes: Attributes = {}
    clone_path: Text = ""
    git: Given[Git] = None
    zip: Given[Zip] = None


class StarterProject(Element):
    name: Name
    attributes: Attributes = {}
    description: Text = ""
    sub_dir: Text = ""
    git: Given[Git] = None
    zip: Given[Zip] = None


class KubernetesParent(Element):
    name: Str
    namespace: Str = ""


class Parent(Element):
    """The parent, and overrides of its elements: these need only a name or id, so they are kept as written."""

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
