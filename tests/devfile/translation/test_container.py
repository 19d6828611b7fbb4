"""The job's container: its entrypoint, volumes and variables."""

from __future__ import annotations

from tests.devfile.examples import devfile, translated, unsupported_parts
from wsdash.workload import (
    Volume,
)


class TestEntrypoint:
    COMMAND = "command: [/run.sh]\nargs: ['a b', '$x']"

    def test_the_containers_command_gives_way_to_the_workspace(self) -> None:
        translation = translated(devfile(container=self.COMMAND))
        assert translation.workload.entrypoint == ()
        assert unsupported_parts(translation) == ["ignored.entrypoint"]

    def with_override(self, value: str, container: str) -> str:
        text = devfile(container=container)
        return text.replace("    container:", f"    attributes: {{overrideCommand: {value}}}\n    container:")

    def test_unless_override_command_is_false(self) -> None:
        translation = translated(self.with_override("false", self.COMMAND))
        assert translation.workload.entrypoint == ("/run.sh", "a b", "$x")
        assert unsupported_parts(translation) == []

    def test_the_images_own_entrypoint_cannot_be_known(self) -> None:
        translation = translated(self.with_override("false", "args: [x]"))
        assert (translation.workload.entrypoint, unsupported_parts(translation)) == (
            (),
            ["entrypoint.unknown"],
        )

    def test_override_command_is_a_boolean(self) -> None:
        translation = translated(self.with_override("'false'", self.COMMAND))
        assert unsupported_parts(translation) == ["override-command.type", "ignored.entrypoint"]


def test_a_service_has_neither_the_volumes_nor_the_sources() -> None:
    text = devfile(
        container="volumeMounts: [{name: v}]",
        components="- {name: v, volume: {}}\n"
        "- {name: db, container: {image: x, dedicatedPod: true, mountSources: true, volumeMounts: [{name: v}]}}",
    )
    found = unsupported_parts(translated(text, main="dev"))
    assert sorted(found) == ["ignored.dedicated-pod", "ignored.mount-sources", "ignored.service-volume"]


def test_ephemeral_storage_makes_every_volume_start_empty() -> None:
    text = devfile(
        "attributes: {controller.devfile.io/storage-type: ephemeral}\n",
        container="volumeMounts: [{name: v}]",
        components="- {name: v, volume: {}}",
    )
    assert translated(text).workload.volumes == (Volume("v", "/v", None, True),)
