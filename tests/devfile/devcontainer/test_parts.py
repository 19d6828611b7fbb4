"""Ports, mounts, requirements and secrets of a Dev Container."""

from __future__ import annotations

from tests.devfile.devcontainer.examples import translated
from wsdash.workload import Port, Secret, Volume

IMAGE = {"image": "debian:13"}


def test_ports_have_names_and_what_their_attributes_say() -> None:
    found = translated(
        {
            **IMAGE,
            "forwardPorts": [3000, 5432, 3000],
            "appPort": ["8000:80", 9000],
            "portsAttributes": {
                "3000": {"label": "Web App", "protocol": "https"},
                "5432": {"onAutoForward": "ignore"},
            },
        }
    )
    assert found.workload.ports == (
        Port("web-app", 3000, "https", secure=True),
        Port("port-5432", 5432, "tcp", exposure="none"),
        Port("port-80", 80, "tcp"),
        Port("port-9000", 9000, "tcp"),
    )


def test_volumes_requirements_user_and_secrets() -> None:
    found = translated(
        {
            **IMAGE,
            "remoteUser": "vscode",
            "mounts": [
                "source=cache-${devcontainerId},target=/cache,type=volume",
                {"type": "volume", "target": "/data"},
            ],
            "hostRequirements": {"cpus": 4, "memory": "8gb"},
            "secrets": {"NPM_TOKEN": {"description": "to publish"}, "OTHER": {}},
        }
    )
    first, second = found.workload.volumes
    assert first.path == "/cache" and first.name.startswith("cache-")
    assert second == Volume("data", "/data")
    assert (found.workload.resources.cpu_request, found.workload.resources.memory_request) == (4.0, 8 * 2**30)
    assert found.workload.user == "vscode"
    assert found.workload.secrets == (Secret("NPM_TOKEN", "to publish"), Secret("OTHER"))
