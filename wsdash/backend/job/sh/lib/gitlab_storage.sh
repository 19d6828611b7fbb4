# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by gitlab.sh: the state of the workspace (home, projects, volumes, state) between its jobs.
#
#   $root                   the live folder: $base/live, or with WSDASH_VOLUME the workspace's own on the runner's volume
#   $base/cache/            the content of the cache: one archive state-NUMBER.tar, created when a job has ended. A runner that
#                           keeps its folders unpacks the cache before any script runs, so no live file may be there.
#                           state-NUMBER.MAC is an encrypted one (cache_encryption.sh); state-NUMBER/ is a folder, if the
#                           image has no tar, or in a cache of an older version.
#   $root/state/number      the number of the state: ATTEMPT.COUNT. The attempt that works in it sets it to ATTEMPT.0, and each
#                           archive that it creates adds one to COUNT. The greater number is the newer state, whatever the
#                           times of files are.
#   $root/state/history     the numbers of the states that it builds on
#   $root/aside/NUMBER      a state that was replaced by a newer one which does not build on it; the newest two are kept
#
# $run/facts, if it exists, says which state is missing or damaged; $run/from has the state that this job began with,
# $run/stored the one that it has saved; $run/left its unsaved work as it ended.
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
    report_problem volume unmounted "This runner mounts nothing at $WSDASH_VOLUME, so the work of this job is not saved: push it."
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
  # Of an older version, which began a new state next to the missing one.
  [ ! -d "$root/unsaved" ] || { mkdir -p "$root/aside" && rm -rf "$root/aside/0.0" && mv "$root/unsaved" "$root/aside/0.0"; }
}

# Claims the folder as claim_folder.sh does for the folder below the project directory, of which each container has its own.
lock_volume() {
  exec 9>>"$folder/lock"
  WSDASH_TERMINATION_S=${WSDASH_TERMINATION_S:-90} sh "$here/claim_folder.sh" "$folder"
}

# In a container, a folder of the image's own is lost with the job. Kubernetes may mount the workspace's folder alone.
is_mounted() {
  [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ] && [ -n "$(device_of /)" ] || return 0
  [ -d "$1" ] && [ "$(device_of "$1")" != "$(device_of /)" ]
}

# report_problem WHERE WHAT SENTENCE: reports it as a fact of the heartbeats, and in the log.
report_problem() {
  printf '%s=%s\n' "$1" "$2" >"$run/facts"
  say "$3"
}

# --- numbers ------------------------------------------------------------------------------------------

# valid WORD: prints it if it is the number of a state, else 0.0.
valid() {
  case $1 in
    *[!0-9.]* | *.*.* | .* | *. | '') echo 0.0 ;;
    *.*) if [ "${#1}" -le 18 ]; then echo "$1"; else echo 0.0; fi ;;
    *) echo 0.0 ;;
  esac
}

# of_attempt: prints this attempt's number, from ID.NUMBER.GENERATION.
of_attempt() {
  attempt=${1#*.}
  attempt=${attempt%%.*}
  case $attempt in '' | *[!0-9]*) attempt=0 ;; esac
}

# Prints the number of the state in a folder, 0.0 if there is none. An older version wrote the attempt that had saved it.
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

# Makes the newest state that exists here the live one; in a cache, only one that needs no key.
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

# Caches and kept folders of the previous version had the unpacked folders in the cache's own path.
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
  # Work done while the cache was missing was never saved.
  [ ! -d "$base/unsaved" ] || { mkdir -p "$folder/aside" && mv "$base/unsaved" "$folder/aside/0.0"; }
}

# Sets `archive` to the newest one in the cache that this job can open, and `archived` to its number. `unopened` lists those
# that it failed to open.
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

# Overridden for encrypted caches.
may_open() {
  ! is_encrypted "$1"
}

# Unpacks the archive next to the live folder, and replaces that only if the archive is complete.
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

# Whether the file that is packed last exists, with the number of the archive's name.
is_whole() {
  packed=
  read -r packed 2>/dev/null <"$1/packed"
  [ "$packed" = "$archived" ]
}

# Overridden for encrypted caches. One file that cannot be written does not prevent the others.
unpack() { # ARCHIVE FOLDER
  tar -C "$2" -xpf "$1" 2>/dev/null || incomplete=yes
}

# Removes a state that the live one has replaced if the live one builds on it, and otherwise keeps it next to it.
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

# Keeps it available: in the state that this job saves.
keep_damaged() {
  rm -rf "$base/draft"
  [ -d "$root" ] || [ ! -d "$base/replaced" ] || mv "$base/replaced" "$root"
  report_problem cache damaged "The saved state $archived could not be unpacked whole: it is damaged, or the disk is full. The folder aside keeps it."
  mkdir -p "$root/aside"
  mv "$archive" "$root/aside/$archived.${archive##*.}"
}

# From here on the live folder is this attempt's. A missing state is reported once, because this job saves again.
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
    # Until they have arrived, this job has nothing to save.
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
  # A volume keeps a job's files, however the job ends.
  [ "$kept" != volume ] || number_of "$root" >"$run/stored"
}

# Imported files come through the tunnel.
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

# Packs the live folder into the one archive of the cache: creates it next to the cache, verifies it, and moves it there. If
# that fails, the cache stays as it was.
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

# Overridden for encrypted caches. Sets `suffix`.
pack() {
  suffix=.tar
  if ! have tar; then
    # The count continues from there.
    suffix=
    mv "$root" "$draft"
    return
  fi
  # A file that is unreadable or changes meanwhile does not prevent the archive; the last file shows that it is complete.
  # shellcheck disable=SC2086
  tar -C "$root" -cf "$draft" home projects volumes state $aside packed 2>/dev/null
  [ "$(tar -tf "$draft" 2>/dev/null | tail -n 1)" = packed ] && return
  report_problem cache unsaved 'The state could not be packed, so the cache stays as it was: the disk may be full.'
  return 1
}

# Saves it together with the archives that could not be opened, of which the newest stays.
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
