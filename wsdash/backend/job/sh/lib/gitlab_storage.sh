# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by gitlab.sh: the state of the workspace (home, projects, volumes, state) between its jobs.
#
#   $root                   the live folder: $base/live, or with WSDASH_VOLUME the workspace's own on the runner's volume
#   $base/cache/            what the cache carries: one archive state-NUMBER.tar, made when a job has ended. A runner that
#                           keeps its folders unpacks the cache before any script runs, so no live file may lie there.
#                           state-NUMBER.MAC is an encrypted one (cache_encryption.sh); state-NUMBER/ is a folder, where the
#                           image has no tar, or where a cache of an older wsdash came.
#   $root/state/number      which state it is: ATTEMPT.COUNT. The attempt that works in it makes it ATTEMPT.0, and each
#                           archive that it makes counts one more. The greater number is the newer state, whatever the
#                           times of files say.
#   $root/state/history     the numbers of the states that it builds on
#   $root/aside/NUMBER      a state that lost against a newer one which does not build on it; the newest two are kept
#
# $run/facts, where it is, says which state is missing or damaged; $run/from the state that this job began with, $run/stored the one that
# it has saved; $run/left what only its files had as it ended.
# From gitlab.sh: base, run, tunnel_pid, ended.

choose_root() {
  root=$base/live
  kept=
  [ -z "${WSDASH_VOLUME:-}" ] || use_volume
  printf '%s\n' "$root" >"$run/root"
  [ -z "$kept" ] || printf '%s\n' "$kept" >"$run/kept"
  export HOME="$root/home" PROJECTS_ROOT="$root/projects"
}

use_volume() {
  folder=$WSDASH_VOLUME/$WSDASH_WORKSPACE
  if ! [ -d "$WSDASH_VOLUME" ] || ! { is_mounted "$WSDASH_VOLUME" || is_mounted "$folder"; }; then
    report_problem volume unmounted "This runner mounts nothing at $WSDASH_VOLUME, so the work of this job is not kept: push it."
    return
  fi
  (umask 077 && mkdir "$folder" 2>/dev/null)
  if [ -L "$folder" ] || [ -z "$(find "$folder" -prune -user "$(id -u)" 2>/dev/null)" ]; then
    report_problem volume unmounted "The folder $folder is not there, or is another user's than this job's, $(id -un 2>/dev/null ||
      id -u), so the work of this job is not kept: push it."
    return
  fi
  chmod 700 "$folder"
  if ! lock_volume; then
    report_problem volume unmounted 'Another job of this workspace uses its folder on the volume, and does not end.'
    exit 1
  fi
  kept=volume
  root=$folder
  # Of an older wsdash, which began a new state beside the one that it missed.
  [ ! -d "$root/unsaved" ] || { mkdir -p "$root/aside" && rm -rf "$root/aside/0.0" && mv "$root/unsaved" "$root/aside/0.0"; }
}

# As claim_folder.sh takes that of the folder below the project directory, which another container has another one of.
lock_volume() {
  exec 9>>"$folder/lock"
  WSDASH_TERMINATION_S=${WSDASH_TERMINATION_S:-90} sh "$here/claim_folder.sh" "$folder"
}

# In a container a folder that only the image has goes with the job. Kubernetes may mount the workspace's own alone.
is_mounted() {
  [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ] && have stat || return 0
  [ -d "$1" ] && [ "$(stat -c %d "$1" 2>/dev/null)" != "$(stat -c %d / 2>/dev/null)" ]
}

# report_problem WHERE WHAT SENTENCE: as a fact of the heartbeats, and in the log.
report_problem() {
  printf '%s=%s\n' "$1" "$2" >"$run/facts"
  say "$3"
}

# --- numbers ------------------------------------------------------------------------------------------

# valid WORD: prints it where it is a number of a state, else 0.0.
valid() {
  case $1 in
    *[!0-9.]* | *.*.* | .* | *. | '') echo 0.0 ;;
    *.*) if [ "${#1}" -le 18 ]; then echo "$1"; else echo 0.0; fi ;;
    *) echo 0.0 ;;
  esac
}

# of_attempt: this attempt's number, of ID.NUMBER.GENERATION.
of_attempt() {
  attempt=${1#*.}
  attempt=${attempt%%.*}
  case $attempt in '' | *[!0-9]*) attempt=0 ;; esac
}

# The number of the state in a folder, 0.0 where there is none. An older wsdash wrote the attempt that had saved it.
number_of() {
  number=
  read -r number 2>/dev/null <"$1/state/number"
  if [ -z "$number" ] && read -r number 2>/dev/null <"$1/state/saved"; then
    of_attempt "$number"
    number=$attempt.1
  fi
  valid "$number"
}

builds_on() { # FOLDER NUMBER: whether the state in the folder does
  [ "$2" = 0.0 ] || [ "$(number_of "$1")" = "$2" ] || grep -qx "$2" "$1/state/history" 2>/dev/null
}

set_number() { # NUMBER: of the live state, which builds on what it was
  mkdir -p "$root/state"
  before=$(number_of "$root")
  [ "$before" = 0.0 ] || printf '%s\n' "$before" >>"$root/state/history"
  if [ "$({ wc -l <"$root/state/history"; } 2>/dev/null || echo 0)" -gt 1000 ]; then
    tail -n 500 "$root/state/history" >"$root/state/history.new" && mv "$root/state/history.new" "$root/state/history"
  fi
  printf '%s\n' "$1" >"$root/state/number.new" && mv "$root/state/number.new" "$root/state/number"
}

# --- at the start -------------------------------------------------------------------------------------

# The newest state that is here becomes the live one; of a cache that needs no key.
restore_state() {
  if [ "$kept" = volume ]; then
    begin_state
    return
  fi
  finish_swap
  migrate_old_layout
  find_archive
  if [ -n "$archive" ] && is_newer "$archived" "$(number_of "$root")"; then
    open_archive || keep_damaged
  fi
  begin_state
}

# Completes an exchange of folders during which a job was killed.
finish_swap() {
  rm -rf "$base/draft" "$base/draft.tar"
  [ -d "$base/replaced" ] || return 0
  if [ -d "$root" ]; then keep_superseded "$base/replaced"; else mv "$base/replaced" "$root"; fi
}

# Caches and kept folders of the wsdash before had the open folders in the cache's own path.
migrate_old_layout() {
  [ -f "$base/state/saved" ] || [ -d "$base/projects" ] || [ -d "$base/unsaved" ] || return 0
  older=$(number_of "$base")
  [ "$older" != 0.0 ] || older=0.1
  folder=$base/cache/state-$older
  [ ! -d "$folder" ] || folder=$base/cache/state-0.2
  mkdir -p "$folder/state"
  for part in home projects volumes state; do
    [ ! -d "$base/$part" ] || { rm -rf "${folder:?}/$part" && mv "$base/$part" "$folder/$part"; }
  done
  mkdir -p "$folder/state"
  printf '%s\n' "${folder##*/state-}" >"$folder/state/number"
  cp "$folder/state/number" "$folder/packed"
  # Work that was done while the cache was missing was never saved.
  [ ! -d "$base/unsaved" ] || { mkdir -p "$folder/aside" && mv "$base/unsaved" "$folder/aside/0.0"; }
}

# Sets `archive` to the newest one in the cache that this job may open, and `archived` to its number. In `unopened` are those
# that it has tried.
unopened=
find_archive() {
  archive=
  archived=0.0
  for found in "$base"/cache/state-*; do
    [ -e "$found" ] || continue
    found_number=$(archive_number "$found")
    case " $unopened " in *" $found "*) continue ;; esac
    if may_open "$found" && is_newer "$found_number" "$archived"; then
      archive=$found
      archived=$found_number
    fi
  done
}

archive_number() {
  name=${1##*/state-}
  case $name in *.*.*) name=${name%.*} ;; esac
  valid "$name"
}

is_encrypted() {
  case ${1##*/state-} in *.tar) return 1 ;; *.*.*) return 0 ;; *) return 1 ;; esac
}

# Overridden where caches are encrypted.
may_open() {
  ! is_encrypted "$1"
}

# The archive is unpacked beside, and takes the place of the live folder only when it is whole.
open_archive() {
  draft=$base/draft
  incomplete=
  rm -rf "$draft"
  if [ -d "$archive" ]; then
    mv "$archive" "$draft" || return
  else
    mkdir -p "$draft" && unpack "$archive" "$draft" || return
  fi
  is_whole "$draft" || return
  rm -f "$draft/packed"
  [ ! -d "$root" ] || mv "$root" "$base/replaced" || return
  mv "$draft" "$root" || return
  [ ! -d "$base/replaced" ] || keep_superseded "$base/replaced"
  if [ -n "$incomplete" ]; then keep_damaged; else rm -rf "$archive"; fi
}

# The file that is packed last is there, and has the number of the archive's name.
is_whole() {
  packed=
  read -r packed 2>/dev/null <"$1/packed"
  [ "$packed" = "$archived" ]
}

# Overridden where caches are encrypted. One file that cannot be written is no reason to go without the others.
unpack() { # ARCHIVE FOLDER
  tar -C "$2" -xpf "$1" 2>/dev/null || incomplete=yes
}

# A state whose place the live one has taken: it goes where that builds on it, and else is kept beside it.
keep_superseded() {
  case $1 in
    */state-*) lost=$(archive_number "$1") ;;
    *) lost=$(number_of "$1") ;;
  esac
  if builds_on "$root" "$lost"; then
    rm -rf "$1"
    return
  fi
  mkdir -p "$root/aside"
  target=$root/aside/$lost
  [ -d "$1" ] || target=$target.${1##*.}
  rm -rf "$target"
  mv "$1" "$target" || return
  printf '%s\n' "$lost" >"$run/aside"
  say "This job's state does not include the state $lost, which is kept as $target. Copy from there what you need."
  count=$(find "$root/aside" -mindepth 1 -maxdepth 1 | wc -l)
  # shellcheck disable=SC2012
  [ "$count" -le 2 ] || ls "$root/aside" | sort -t . -k 1,1n -k 2,2n | head -n $((count - 2)) | while read -r oldest; do
    rm -rf "${root:?}/aside/$oldest"
  done
}

# It stays to be had: in what this job saves.
keep_damaged() {
  rm -rf "$base/draft"
  [ -d "$root" ] || [ ! -d "$base/replaced" ] || mv "$base/replaced" "$root"
  report_problem cache damaged "The saved state $archived could not be unpacked whole: it is damaged, or the disk is full. The folder aside keeps it."
  mkdir -p "$root/aside"
  mv "$archive" "$root/aside/$archived.${archive##*.}"
}

# From here on the live folder is this attempt's. A state that is missing is reported once: this job saves again.
begin_state() {
  mkdir -p "$root/home" "$root/projects" "$root/volumes" "$root/state" "$run/volumes"
  for found in "$base"/cache/state-*; do
    ! [ -e "$found" ] || is_encrypted "$found" || keep_superseded "$found"
  done
  if [ -e "$base/cache" ] && ! keeps_archives; then rm -rf "$base/cache"; fi
  began=$(number_of "$root")
  printf '%s\n' "$began" >"$run/from"
  if [ "$WSDASH_RESTORE_FROM" = import ] && [ "$began" = 0.0 ]; then
    : >"$run/expects"
    # Until they are here, what this job has is nothing to be saved.
    printf 'import=missed\n' >"$run/facts"
    return
  fi
  report_missing
  claim_state
}

keeps_archives() {
  for found in "$base"/cache/state-*; do
    ! [ -e "$found" ] || return 0
  done
  return 1
}

report_missing() {
  ! [ -f "$run/facts" ] || return 0
  wanted=$WSDASH_RESTORE_FROM
  case $wanted in
    no | import) return ;;
    yes) [ "$began" = 0.0 ] || return 0 ;;
    *) is_newer "$(valid "$wanted")" "$began" || return 0 ;;
  esac
  where=cache
  why='it was cleared, has expired, or is another runner'"'"'s'
  if [ "$kept" = volume ]; then where=volume why='another runner has it'; fi
  if [ "$began" = 0.0 ]; then
    report_problem "$where" missed "The saved state did not come with the $where: $why. This job starts without it, and saves as usual."
  else
    report_problem "$where" older "A newer state than $began was saved, $wanted, and did not come with the $where: $why. This job uses the state $began."
  fi
}

claim_state() {
  of_attempt "$WSDASH_ATTEMPT"
  ! is_newer "$attempt.0" "$(number_of "$root")" || set_number "$attempt.0"
  # A volume keeps what a job leaves there, however it ends.
  [ "$kept" != volume ] || number_of "$root" >"$run/stored"
}

# Files that were imported come through the tunnel.
await_import() {
  say 'Waiting for the imported files, which your machine sends.'
  waited=0
  while ! [ -e "$run/received" ]; do
    if [ -z "$tunnel_pid" ] || [ "$waited" -ge "${WSDASH_IMPORT_S:-600}" ]; then
      say 'The imported files did not arrive: your machine cannot reach this job.'
      return 1
    fi
    [ -z "$ended" ] || return 1
    sleep 1
    waited=$((waited + 1))
  done
  rm -f "$run/facts"
  claim_state
  say 'The imported files have arrived.'
}

# --- at the end ---------------------------------------------------------------------------------------

# The live folder as the one archive of the cache: made beside it, verified, then moved there. Where that fails the cache has
# nothing to be saved, and stays as it was.
save_state() {
  [ -z "${WSDASH_VOLUME:-}" ] || return 0
  ! [ -e "$run/expects" ] && [ -d "$root/state" ] || return 0
  previous=$(number_of "$root")
  next=${previous%.*}.$((${previous#*.} + 1))
  mkdir -p "$root/home" "$root/projects" "$root/volumes"
  set_number "$next"
  printf '%s\n' "$next" >"$root/packed"
  aside=
  [ ! -d "$root/aside" ] || aside=aside
  draft=$base/draft.tar
  if ! { pack && swap_cache; }; then
    rm -rf "$draft" "$base/cache.new" "$root/packed"
    return 1
  fi
  printf '%s\n' "$next" >"$run/stored"
  rm -f "$root/packed"
}

# Overridden where caches are encrypted. Sets `suffix`.
pack() {
  suffix=.tar
  if ! have tar; then
    # It goes on from there, and comes back from there.
    suffix=
    mv "$root" "$draft"
    return
  fi
  # A file that cannot be read, or changes meanwhile, is no reason to keep none: what stands last is there if all does.
  # shellcheck disable=SC2086
  tar -C "$root" -cf "$draft" home projects volumes state $aside packed 2>/dev/null
  [ "$(tar -tf "$draft" 2>/dev/null | tail -n 1)" = packed ] && return
  report_problem cache unsaved 'The state could not be packed, so the cache stays as it was: the disk may be full.'
  return 1
}

# With what could not be opened, of which the newest stays.
swap_cache() {
  rm -rf "$base/cache.new"
  mkdir -p "$base/cache.new" && mv "$draft" "$base/cache.new/state-$next$suffix" || return
  newest=
  for found in "$base"/cache/state-*; do
    if ! [ -e "$found" ] || ! is_encrypted "$found" || builds_on "$root" "$(archive_number "$found")"; then continue; fi
    if [ -z "$newest" ] || is_newer "$(archive_number "$found")" "$(archive_number "$newest")"; then newest=$found; fi
  done
  [ -z "$newest" ] || mv "$newest" "$base/cache.new/"
  rm -rf "$base/cache" && mv "$base/cache.new" "$base/cache"
}
