# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by unsaved.sh and save_work.sh, the second of three: the commits that are known to be on a remote.

# Places that other processes than the job may clear, or of which the job may have a private one.
volatile='/tmp /var/tmp /dev /run /proc'

# Writes `^ID` lines into $S/elsewhere: commits that a remote-tracking ref names, or that came with a clone, if that remote
# outlives the job. Of a remote on this machine, only commits that it really has.
collect_elsewhere() {
  : >"$S/sure"
  : >"$S/likely"
  : >"$S/borrowed"
  classify_remotes >"$S/remotes"
  if grep -qv '^nowhere' "$S/remotes"; then
    shadow_git for-each-ref --format='%(objectname) %(refname)' refs/remotes | tracked >"$scratch/tracked"
    sed -n 's/^far //p' "$scratch/tracked" >>"$S/sure"
    sed -n 's/^here //p' "$scratch/tracked" >>"$S/likely"
    for file in "$common/logs/HEAD" "$git_folder/logs/HEAD"; do
      [ ! -f "$file" ] || sed -n "s/^[0-9a-f]* \([0-9a-f]*\) .*${tab}clone: from /\1 /p" "$file"
    done | while read -r id url; do
      echo "$id" | came_from "$url"
    done
    # As long as the address is that of the clone, its tags came with it.
    file=$common/logs/refs/remotes/origin/HEAD
    # shellcheck disable=SC3013  # every shell that may be here has -nt
    if [ -f "$common/packed-refs" ] && [ -f "$file" ] && ! [ "$common/packed-refs" -nt "$file" ]; then
      sed -n 's|^\([0-9a-f]*\) refs/tags/.*|\1|p' "$common/packed-refs" | came_from "$(sed -n "1s/.*${tab}clone: from //p" "$file")"
    fi
    file=$common/wsdash-fetched
    [ ! -f "$file" ] || grep -x '[0-9a-f]\{40,64\}' "$file" | came_from "$(sed -n '1s/^source //p' "$file")"
  fi
  { cat "$S/sure" && in_borrowed; } | sed -n 's/^[0-9a-f]\{40,64\}$/^&/p' | sort -u >"$S/elsewhere"
}

# Prints the refs that each remote fetches, as `VERDICT DESTINATION`, by the worst of its addresses; each ref once.
classify_remotes() {
  : >"$scratch/configured"
  [ ! -f "$common/config" ] || (cd "$scratch" && git config --file "$common/config" -z --get-regexp \
    '^((svn-)?remote\..*\.(url|pushurl|fetch|branches|tags)|url\..*\.(push)?insteadof)$' 2>/dev/null) | lines >"$scratch/configured"
  # shellcheck disable=SC2094  # nothing is written there
  while IFS= read -r line; do
    case $line in *"$soh"*) ;; *) continue ;; esac
    key=${line%%"$soh"*}
    decoded "${line#*"$soh"}"
    case $key in
      url.*) ;;
      *.url | *.pushurl)
        classify_remote "$value"
        printf 'judged\t%s\t%s\n' "$verdict" "${key%.*}"
        url=$value
        grep '^url\.' "$scratch/configured" | while IFS= read -r line; do
          decoded "${line#*"$soh"}"
          line=${line%%"$soh"*}
          line=${line#url.}
          case $url in
            "$value"*)
              classify_remote "${line%.*}${url#"$value"}"
              printf 'judged\t%s\t%s\n' "$verdict" "${key%.*}"
              ;;
          esac
        done
        ;;
      *) printf 'to\t%s\t%s\n' "${value##*:}" "${key%.*}" ;;
    esac
  done <"$scratch/configured" | awk -F '\t' '
    BEGIN { rank["far"] = 1; rank["here"] = 2; rank["unseen"] = 3; rank["nowhere"] = 4 }
    $1 == "judged" { if (rank[$2] > rank[worst[$3]]) worst[$3] = $2 }
    $1 == "to" { to[++count] = $2; of[count] = $3 }
    END {
      for (i = 1; i <= count; i++) print (of[i] in worst ? worst[of[i]] : "nowhere") "\t" to[i]
      for (name in worst) print worst[name] "\t"
    }'
}

# Prints, of `ID REF` lines, those that a remote has fetched, as `far ID` and `here ID`. A ref that several remotes may have
# written is accepted if all of them are.
tracked() {
  awk -F '\t' '
    function fits(ref, to, star, before, after) {
      star = index(to, "*")
      if (!star) return ref == to
      before = substr(to, 1, star - 1)
      after = substr(to, star + 1)
      return length(ref) >= length(to) && index(ref, before) == 1 && substr(ref, length(ref) - length(after) + 1) == after
    }
    NR == FNR { verdict[NR] = $1; to[NR] = $2; count = NR; next }
    {
      id = $0
      sub(/ .*/, "", id)
      found = ""
      for (i = 1; i <= count; i++) {
        if (!fits(substr($0, length(id) + 2), to[i])) continue
        if (verdict[i] != "far" && verdict[i] != "here") { found = "doubtful"; break }
        if (found == "" || verdict[i] == "here") found = verdict[i]
      }
      print found " " id
    }' "$S/remotes" -
}

# Prints ids that came with a clone from this address.
came_from() { # URL
  classify_remote "$1"
  case $verdict in
    far | unseen) cat >>"$S/sure" ;;
    here) cat >>"$S/likely" ;;
    *) cat >/dev/null ;;
  esac
}

# Sets `verdict` for the repository of a URL:
#   far      on another machine
#   here     a repository that outlives the job and is readable: its objects go into $S/borrowed
#   unseen   the source of the workspace, which exists but is invisible from here: no job can push to it either
#   nowhere  missing, this repository itself, or one that may be removed with the job
# WSDASH_SOURCE is the source of the workspace if that is a folder that outlives it; WSDASH_MACHINE says that the
# paths are those of a machine, not of a container.
classify_remote() { # URL
  verdict=nowhere
  case $1 in
    '' | ext::* | fd::*) return 0 ;;
    file://*) there=/${1#file://*/} ;;
    *://* | *::*) verdict=far ;;
    *)
      there=$1
      case ${1%%/*} in *:*) verdict=far ;; esac
      ;;
  esac
  [ "$verdict" = nowhere ] || return 0
  is_source=
  [ "$1" != "${WSDASH_SOURCE:-}" ] || is_source=yes
  there=$(cd -P -- "${tree:-$common}" 2>/dev/null && enter_repository "$there" && printf '%sx' "$common")
  if [ -z "$there" ]; then
    [ -z "$is_source" ] || verdict=unseen
    return 0
  fi
  there=${there%x}/objects
  if [ "$there" = "$common/objects" ] || [ -z "$is_source${WSDASH_MACHINE:-}" ] || ! outlives "$there" 5; then return 0; fi
  verdict=here
  quoted "$there" >>"$S/borrowed"
}

# Finds it as Git does. Sets `folder` and `common`.
enter_repository() { # PATH
  for suffix in /.git '' .git/.git .git; do
    at=$1$suffix
    [ ! -f "$at" ] || at=$(named_by "$at") || continue
    ! enter_git_folder "$at" || return 0
  done
  return 1
}

# Whether neither these objects nor the objects that they borrow belong to the job or are in a temporary place. A source that
# the user named in such a place counts as lasting.
outlives() { # OBJECTS DEPTH
  at=$(cd -P -- "$1" 2>/dev/null && pwd -P) && [ "$2" -gt 0 ] || return
  set -- "$at" "$2"
  for own in "${root%/*}" "$root" "$real_home" $volatile "${TMPDIR:-}"; do
    case $is_source:$own in yes:/tmp | yes:/var/tmp | yes:"${TMPDIR:-}") continue ;; esac
    own=$(cd -P -- "${own:-$root}" 2>/dev/null && pwd -P) || continue
    case $1/ in "${own%/}"/*) return 1 ;; esac
  done
  [ -f "$1/info/alternates" ] || return 0
  (
    cd "$1" && while IFS= read -r line; do
      case $line in '' | '#'*) ;; *) outlives "$line" $(($2 - 1)) || exit 1 ;; esac
    done <info/alternates
  )
}

# Lists the ids of $S/likely that are among the objects of $S/borrowed, and in no others.
in_borrowed() {
  [ -s "$S/likely" ] || return 0
  mkdir -p "$S/lasting/objects/info" "$S/lasting/refs" || return
  cp "$S/borrowed" "$S/lasting/objects/info/alternates"
  echo 'ref: refs/heads/none' >"$S/lasting/HEAD"
  printf '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = %s\n' "$(shadow_git rev-parse --show-object-format)" >"$S/lasting/config"
  sort -u "$S/likely" | (cd "$scratch" && git --git-dir="$S/lasting" cat-file --batch-check='%(objectname)' 2>/dev/null)
}
