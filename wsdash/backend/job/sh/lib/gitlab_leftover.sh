# shellcheck shell=sh disable=SC2154
# Sourced by gitlab.sh: the unsaved work of an ended job, as `left` of its last heartbeat, because it cannot be queried after
# the job has ended: COMMITS.STASHES.FILES as unsaved.sh counts them, with `.more` if there may be more.
# The search takes at most WSDASH_UNSAVED_S, and its failure stops nothing.
find_unsaved() {
  rm -f "$run/left" "$run/unsaved-report"
  [ -d "$root/projects" ] && ! [ -e "$run/expects" ] || return 0
  limit=
  ! have timeout || limit="timeout -s KILL ${WSDASH_UNSAVED_S:-20}"
  sleep "${WSDASH_UNSAVED_S:-20}" >/dev/null 2>&1 &
  watchdog=$!
  {
    # shellcheck disable=SC2086
    PROJECTS_ROOT=$root/projects HOME=$root/home TMPDIR=$run $limit sh "$here/unsaved.sh" list >"$run/unsaved-report"
    kill "$watchdog"
  } >/dev/null 2>&1 </dev/null &
  wait "$watchdog" 2>/dev/null
  count_left
}

count_left() {
  commits=0 stashes=0 files=0 more=.more unknown=
  while read -r word number _; do
    case $word in
      commits | stashes | files | changes)
        case $number in '' | *[!0-9]*) continue ;; esac
        case $word in
          commits) commits=$((commits + number)) ;;
          stashes) stashes=$((stashes + number)) ;;
          *) files=$((files + number)) ;;
        esac
        ;;
      problem) unknown=.more ;;
      complete) more= ;;
    esac
  done 2>/dev/null <"$run/unsaved-report"
  # A state that did not arrive, or was superseded, may have more.
  if ! [ -e "$run/restored" ] || [ -e "$run/facts" ] || [ -d "$root/aside" ] || [ -e "$run/checkpoint/wanted" ] ||
    [ -e "$run/checkpoint/no-uploads" ] || grep -q '^missed$' "$run/unsaved" 2>/dev/null; then
    unknown=.more
  fi
  { printf '%s.%s.%s%s\n' "$commits" "$stashes" "$files" "${unknown:-$more}" >"$run/left"; } 2>/dev/null
  rm -f "$run/unsaved-report"
}
