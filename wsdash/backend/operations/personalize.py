"""Adds a user's settings to every new workspace: dotfiles, applied once, and home files in its checkpoints.
Pure.

The names of install scripts and their order are those of GitHub Codespaces ("Personalizing GitHub Codespaces for
your account").
"""

from __future__ import annotations

from dataclasses import replace

from wsdash.backend.clone_address import DOTFILES
from wsdash.backend.job.shell import bare
from wsdash.config.settings import Personal
from wsdash.workload import Command, EnvVar, GitIdentity, Workload


def with_personal(workload: Workload, personal: Personal, identity: GitIdentity | None = None) -> Workload:
    """Return the workload with the user's settings. Dotfiles come before the devfile's own postStart, until they
    succeed once.
    """
    workload = replace(workload, home_files=personal.home_files, git_identity=identity)
    if personal.dotfiles is None:
        return workload
    env = (EnvVar(DOTFILES, personal.dotfiles),)
    apply = Command("dotfiles", bare("install_dotfiles.sh"), working_dir="$PROJECTS_ROOT", env=env, once=True)
    return replace(workload, post_start=(apply, *workload.post_start))
