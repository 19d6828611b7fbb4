"""What a user has in every new workspace: dotfiles, applied once, and home files in its checkpoints. Pure.

The names and their order are those that GitHub Codespaces tries ("Personalizing GitHub Codespaces for your account").
"""

from __future__ import annotations

from dataclasses import replace

from wsdash.backend.clone_address import DOTFILES
from wsdash.config.settings import Personal
from wsdash.workload import Command, EnvVar, GitIdentity, Workload

SCRIPTS = (
    *("install.sh", "install", "bootstrap.sh", "bootstrap", "script/bootstrap"),
    *("setup.sh", "setup", "script/setup"),
)
"""The first that is there is run; where none is, each dotfile is linked into the home folder."""

_APPLY = f"""\
set -e
if ! [ -d ~/.dotfiles ]; then
  rm -rf ~/.dotfiles.part
  git clone --quiet --depth 1 -- "$DOTFILES" ~/.dotfiles.part
  mv ~/.dotfiles.part ~/.dotfiles
fi
cd ~/.dotfiles
for script in {" ".join(SCRIPTS)}; do
  if [ -f "$script" ]; then
    chmod u+x "$script"
    exec "./$script"
  fi
done
for file in .[!.]*; do
  case $file in .git | .gitignore | .gitmodules | .gitattributes | .github | .gitlab) continue ;; esac
  if [ -e ~/"$file" ] || [ -L ~/"$file" ]; then
    echo "$file is in the home folder already, and stays as it is."
  else
    ln -s "$PWD/$file" ~/"$file"
  fi
done
"""


def with_personal(workload: Workload, personal: Personal, identity: GitIdentity | None = None) -> Workload:
    """Dotfiles are applied before the devfile's own postStart, until that has succeeded once."""
    workload = replace(workload, home_files=personal.home_files, git_identity=identity)
    if personal.dotfiles is None:
        return workload
    env = (EnvVar(DOTFILES, personal.dotfiles),)
    apply = Command("dotfiles", _APPLY, working_dir="$PROJECTS_ROOT", env=env, once=True)
    return replace(workload, post_start=(apply, *workload.post_start))
