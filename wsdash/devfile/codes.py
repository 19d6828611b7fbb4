"""Every code of a diagnostic, with its severity in each profile.

The codes are stable: scripts and tests rely on them. The lenient profile follows the reference parser's rules
(devfile/api, pkg/validation/validation-rule.md), is milder where that parser refuses a devfile that runs well,
and also refuses devfiles that can never run.
"""

from __future__ import annotations

from collections.abc import Mapping

from wsdash.devfile.diagnostics import Profile, Severity

GITLAB_ONLY = (
    "gitlab.text", "gitlab.version", "gitlab.field", "gitlab.component", "gitlab.main-component",
    "gitlab.override-command", "gitlab.command", "gitlab.event", "gitlab.reserved-name",
)  # fmt: skip
"""Restrictions that only the profile gitlab checks."""

LENIENT: Mapping[str, Severity] = {
    "locate.several": "error",
    # The text itself
    "text.too-large": "error",
    "text.encoding": "error",
    "text.control-character": "error",
    "text.empty": "error",
    "text.nul": "error",
    # YAML and JSON
    "yaml.syntax": "error",
    "json.syntax": "error",
    "yaml.too-deep": "error",
    "yaml.too-many-values": "error",
    "yaml.too-many-aliases": "error",
    "yaml.recursive-alias": "error",
    "yaml.unknown-alias": "error",
    "yaml.duplicate-key": "error",
    "yaml.several-documents": "error",
    "yaml.bad-key": "error",
    "yaml.bad-value": "error",
    "yaml.bad-merge": "error",
    "yaml.merge-order": "warning",
    "yaml.tag": "warning",
    # The schema (devfile section 1.3 of each version)
    "schema.not-a-devfile": "error",
    "schema.version": "error",
    "schema.unknown-field": "warning",
    "schema.newer-field": "warning",
    "schema.removed-field": "warning",
    "schema.unused-field": "warning",
    "schema.missing-field": "error",
    "schema.wrong-type": "error",
    "schema.wrong-value": "error",
    "schema.repeated-value": "warning",
    "schema.bad-name": "error",
    "schema.too-long": "error",
    "schema.one-of": "error",
    "schema.override-type": "warning",
    "schema.too-many-problems": "error",
    # Variables
    "variable.undefined": "warning",
    "variable.undefined-in-image": "error",
    "variable.too-large": "error",
    "variable.cpu": "warning",
    # Parents
    "parent.not-read": "warning",
    "parent.unread": "error",
    "parent.remote": "error",
    "parent.fetch": "error",
    "parent.unsupported": "error",
    "parent.path": "error",
    "parent.missing": "error",
    "parent.cycle": "error",
    "parent.too-deep": "error",
    "parent.newer": "error",
    "parent.conflict": "error",
    "parent.override": "error",
    # References between elements
    "component.none": "error",
    "name.duplicate": "error",
    "reference.missing": "error",
    "reference.wrong-kind": "error",
    "reference.cycle": "error",
    "image.invalid": "error",
    "env.reserved": "error",
    "quantity.invalid": "error",
    "quantity.negative": "error",
    "quantity.request-over-limit": "error",
    "quantity.less-than-a-byte": "warning",
    "volume.path": "error",
    "volume.same-path": "error",
    "port.range": "error",
    "port.shared": "error",
    "port.shared-dedicated-pod": "warning",
    "annotation.conflict": "warning",
    "uri.invalid": "error",
    "group.no-default": "warning",
    "group.several-defaults": "error",
    "event.nested-composite": "error",
    "project.remotes": "error",
    "project.checkout-remote": "error",
    # Translation: impossible
    "main.missing": "error",
    "main.unknown": "error",
    "main.ambiguous": "warning",
    "step.too-many": "error",
    "step.too-deep": "error",
    "project.clone-path": "error",
    "project.url": "error",
    "entrypoint.unknown": "warning",
    "override-command.type": "warning",
    "env.name": "warning",
    "env.duplicate": "warning",
    # Translation: left out
    "ignored.image-component": "warning",
    "ignored.kubernetes-component": "warning",
    "ignored.openshift-component": "warning",
    "ignored.dedicated-pod": "warning",
    "ignored.annotation": "info",
    "ignored.attribute": "info",
    "ignored.pod-overrides": "warning",
    "ignored.entrypoint": "info",
    "ignored.override-command": "warning",
    "ignored.source-mapping": "warning",
    "ignored.mount-sources": "info",
    "ignored.env-reserved": "warning",
    "ignored.service-volume": "warning",
    "ignored.service-endpoint": "info",
    "ignored.unused-volume": "info",
    "ignored.udp-endpoint": "warning",
    "ignored.exec-in-service": "warning",
    "ignored.init-container": "warning",
    "ignored.apply-command": "info",
    "ignored.post-stop": "warning",
    "ignored.unused-command": "info",
    "ignored.hot-reload": "info",
    "ignored.project": "warning",
    "ignored.starter-project": "info",
    "ignored.checkout-remote": "info",
    "ignored.architectures": "info",
    "ignored.metadata": "info",
    # Dev Containers (containers.dev, "Dev Container metadata reference")
    "devcontainer.not-one": "error",
    "devcontainer.template": "error",
    "devcontainer.type": "warning",
    "devcontainer.unknown": "info",
    "devcontainer.no-image": "error",
    "devcontainer.build": "error",
    "devcontainer.features": "warning",
    "devcontainer.variable": "warning",
    "devcontainer.host-command": "warning",
    "devcontainer.attach-command": "info",
    "devcontainer.mount": "warning",
    "devcontainer.run-argument": "warning",
    "devcontainer.privilege": "warning",
    "devcontainer.requirement": "info",
    "devcontainer.port": "info",
    "devcontainer.user": "info",
    "devcontainer.folder": "info",
    "devcontainer.editor": "info",
    "devcontainer.ignored": "info",
    "compose.missing": "error",
    "compose.invalid": "error",
    "compose.service": "error",
    "compose.build": "warning",
    "compose.variable": "warning",
    "compose.environment": "warning",
    "compose.ignored": "warning",
    "compose.mount": "warning",
    "compose.network": "warning",
    **dict.fromkeys(GITLAB_ONLY, "error"),
}

_ERRORS_TO_THE_LIBRARY = (
    "schema.unknown-field", "schema.newer-field", "schema.removed-field", "schema.override-type", "variable.cpu",
    "schema.repeated-value", "group.no-default", "annotation.conflict", "port.shared-dedicated-pod",
)  # fmt: skip
"""Warnings here, errors in the reference parser. (variable.cpu: the parser does not substitute variables in CPU
quantities, so the result is not a quantity.)
"""

_SOUND_TO_THE_LIBRARY = (
    "yaml.duplicate-key", "yaml.several-documents", "text.nul", "variable.undefined-in-image", "component.none",
    "image.invalid", "quantity.negative", "volume.path", "volume.same-path", "port.range",
)  # fmt: skip
"""Errors here that the reference parser accepts: the document could not run, or does not mean what it says."""

LIBRARY: Mapping[str, Severity] = {
    **LENIENT,
    **dict.fromkeys(_ERRORS_TO_THE_LIBRARY, "error"),
    **dict.fromkeys(_SOUND_TO_THE_LIBRARY, "warning"),
}

SEVERITIES: Mapping[Profile, Mapping[str, Severity]] = {
    "lenient": LENIENT,
    "library": LIBRARY,
    "gitlab": LIBRARY,
}
