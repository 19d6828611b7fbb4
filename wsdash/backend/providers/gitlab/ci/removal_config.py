"""The `.gitlab-ci.yml` of the job that removes a workspace's folder from a runner's volume. Pure."""

from __future__ import annotations

from wsdash.backend.job.shell import script
from wsdash.backend.providers.gitlab.ci.config import JOB, image_of
from wsdash.backend.providers.gitlab.ci.pipeline_name import BRANCH
from wsdash.backend.providers.gitlab.ci.record import Volume
from wsdash.backend.providers.gitlab.ci.yaml_writer import yaml_of
from wsdash.workload import Workload

REMOVAL = "remove-volume"


def render_removal(workspace_id: str, workload: Workload, image: str | None, volume: Volume) -> str:
    """Return the configuration of a job that removes the workspace's folder from a volume, as the user who created it.

    `image` is used if the workload names none. In the same resource group it runs after the workspace's last job.
    """
    job = {"stage": JOB, "inherit": {"default": False, "variables": False}, **image_of(workload, image)}
    job |= {
        "tags": list(volume.tags),
        "timeout": "1 hour",
        "retry": 0,
        "resource_group": f"wsdash-{workspace_id}",
        "variables": {
            "GIT_STRATEGY": "none",
            "WSDASH_WORKSPACE": workspace_id,
            "WSDASH_VOLUME": volume.path,
        },
        "script": [script("remove_volume.sh")],
    }
    document = {
        "workflow": {
            "name": removal_name(workspace_id),
            "auto_cancel": {"on_new_commit": "none"},
            "rules": [{"if": '$CI_PIPELINE_SOURCE == "api"'}],
        },
        "stages": [JOB],
        REMOVAL: job,
    }
    return yaml_of(document)


def removal_name(workspace_id: str) -> str:
    """Return the name of such a pipeline, which is not a heartbeat."""
    return f"{BRANCH}{workspace_id} removal"
