#!/bin/sh
# Sourced by gitlab.sh: where all that is to be kept lies, which is `root`. Below the project directory, for nothing else
# gets into the cache; or, with WSDASH_VOLUME, in a folder of the workspace's own on the runner's volume.
#
# $root/state/saved says that work was kept there before. $run/facts, where it is, says why this job has not got it:
# what was kept must never be replaced by a fresh start that only missed it.
# From gitlab.sh: base, run, dialler, ended.

# shellcheck disable=SC2154
choose_root() {
  root=$base
  kept=
  if [ -n "${WSDASH_VOLUME:-}" ]; then
    take_volume
  elif [ "${WSDASH_SEALED:-no}" = yes ]; then
    prepare_sealed
  elif [ "$WSDASH_RESTORES" = yes ] && ! [ -f "$root/state/saved" ]; then
    miss cache 'The saved work did not come with the cache: another runner, or one that cannot reach it.'
  fi
  printf '%s\n' "$root" >"$run/root"
  [ -z "$kept" ] || printf '%s\n' "$kept" >"$run/kept"
  mkdir -p "$root/home" "$root/projects" "$root/volumes" "$root/state" "$run/volumes"
  if [ "$WSDASH_RESTORES" = import ] && ! [ -f "$root/state/saved" ]; then
    : >"$run/expects"
    # Until they are here, what this job has is nothing to be saved.
    printf 'import=missed\n' >"$run/facts"
  fi
  # A volume keeps what a job leaves there however it ends.
  [ "$kept" != volume ] || mark_saved
  export HOME="$root/home" PROJECTS_ROOT="$root/projects"
}

take_volume() {
  kept=volume
  folder=$WSDASH_VOLUME/$WSDASH_WORKSPACE
  if ! [ -d "$WSDASH_VOLUME" ] || ! { is_mounted "$WSDASH_VOLUME" || is_mounted "$folder"; }; then
    miss volume "This runner mounts nothing at $WSDASH_VOLUME."
    return
  fi
  (umask 077 && mkdir "$folder" 2>/dev/null)
  if [ -L "$folder" ] || [ -z "$(find "$folder" -prune -user "$(id -u)" 2>/dev/null)" ]; then
    miss volume "The folder $folder is not there, or is another user's than this job's, $(id -un 2>/dev/null || id -u)."
    return
  fi
  chmod 700 "$folder"
  root=$folder
  if [ "$WSDASH_RESTORES" = yes ] && ! [ -f "$root/state/saved" ]; then
    miss volume "The work of this workspace is not in $folder: another runner has it."
  fi
}

# In a container a folder that only the image has goes with the job. Kubernetes may mount the workspace's own alone.
is_mounted() {
  [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ] && have stat || return 0
  [ -d "$1" ] && [ "$(stat -c %d "$1" 2>/dev/null)" != "$(stat -c %d / 2>/dev/null)" ]
}

# miss WHAT WHY
miss() {
  [ "$root" != "$base" ] || [ "$1" != volume ] || kept=
  root=$root/unsaved
  printf '%s=missed\n' "$1" >"$run/facts"
  say "$2"
  say 'This job starts afresh, and does not save over what is there. Push what you do here.'
}

mark_saved() {
  [ -f "$run/facts" ] || printf '%s\n' "$WSDASH_ATTEMPT" >"$root/state/saved"
}

# Files that were imported come by the line, once it is there.
await_import() {
  say 'Waiting for the imported files, which your machine sends.'
  waited=0
  while ! [ -e "$run/received" ]; do
    if [ -z "$dialler" ] || [ "$waited" -ge "${WSDASH_IMPORT_S:-600}" ]; then
      say 'They did not come: this job cannot be reached from your machine.'
      return 1
    fi
    [ -z "$ended" ] || return 1
    sleep 1
    waited=$((waited + 1))
  done
  rm -f "$run/facts"
  [ "$kept" != volume ] || mark_saved
  say 'The imported files are here.'
}
