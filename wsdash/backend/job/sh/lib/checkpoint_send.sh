# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by checkpoint.sh: checkpoints on their way out of the job, by its line or into the project, as long as it runs.

# A wish goes when it is answered and not before: who has read it may end, and the next one reads it again.
answer() {
  [ -n "$wish" ] || return 0
  printf '%s %s\n' "$wish" "$1" >"$folder/answer.new" && mv "$folder/answer.new" "$folder/answer"
  latest=
  read -r latest <"$folder/wish"
  [ "$latest" != "$wish" ] || rm -f "$folder/wish"
}

is_alive() { # FILE: whether the process whose id stands in it runs, and is not another with its number; sets `pid`
  pid=
  read -r pid 2>/dev/null <"$folder/$1"
  [ -n "$pid" ] && grep -q checkpoint "/proc/$pid/cmdline" 2>/dev/null
}

# What is to be sent, or said to be the same, as lines and bytes. Without an answer there is nobody to send to.
by_line() {
  if [ "$tip" = "$sent" ]; then
    printf 'same %s %s\n' "$last" "$at"
  else
    printf 'new %s %s %s %s %s\n' "$id" "$base" "$at" "$size" "$hash"
    cat "$file" || exit 0
    has=
  fi
  # A trapped signal would end the reading, and with it this process.
  trap '' USR1
  read -r heard rest || exit 0
  trap on_wake USR1
  [ "$heard" = kept ] && return 0
  why=refused
  said=$rest
  return 1
}

registry() { # ID
  printf '%s' "$CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/generic/wsdash-$WSDASH_WORKSPACE/$1/checkpoint.bundle"
}

# Into the project's package registry, and compared with what comes back from there.
by_registry() {
  upload "$(registry "$id")" "$file"
  case $code in 2??) ;; *) fail registry || return ;; esac
  download "$(registry "$id")" "$work/check"
  case $code in 2??) ;; *) fail registry || return ;; esac
  [ "$(git hash-object --no-filters --stdin <"$work/check")" = "$hash" ] || fail registry || return
  rm -f "$work/check"
  deposited registry
}

deposited() {
  printf '%s:%s\n' "$1" "$id" >"$WSDASH_RUN/deposit.new" && mv "$WSDASH_RUN/deposit.new" "$WSDASH_RUN/deposit"
}

# On a branch of the workspace's own, where the project lets its jobs push: one commit that holds the bundle, and that
# the next one takes the place of. Its hash is that of all that is in it.
by_branch() {
  blob=$(beside hash-object -w --no-filters "$file") &&
    tree=$(printf '100644 blob %s\tcheckpoint.bundle\n' "$blob" | beside mktree) &&
    commit=$(printf 'checkpoint %s [skip ci]\n' "$id" | beside commit-tree "$tree") || fail disk || return
  beside push --quiet --force "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$commit:$branch" >/dev/null 2>&1 &&
    beside ls-remote "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$branch" 2>/dev/null | grep -q "^$commit" || fail registry || return
  deposited branch
}

by_project() {
  [ "$tip" != "$sent" ] || return 0
  by_registry || by_branch
}

# One checkpoint by_line or by_registry, and what became of it: in `saved` or `unsaved`, and to who waits for it.
give() {
  at=$(date +%s)
  why=
  said=
  if snapshot && { [ "$tip" = "$sent" ] || bundle; }; then
    read_mark
    if [ "$tip" != "$sent" ] && [ "$has" = "$last" ] && [ "$has_hash" = "$hash" ]; then sent=$tip; fi
    if [ "$tip" != "$sent" ]; then
      next_id
      write_mark "$id"
    fi
    if "$1"; then
      sent=$tip
      rm -f "$work/bundle"
      if [ -n "${partly:-}" ]; then
        printf '%s\n' "$partly" >"$WSDASH_RUN/unsaved.new" && mv "$WSDASH_RUN/unsaved.new" "$WSDASH_RUN/unsaved"
      else
        rm -f "$WSDASH_RUN/unsaved"
      fi
      printf '%s\n' "$at" >"$WSDASH_RUN/saved.new" && mv "$WSDASH_RUN/saved.new" "$WSDASH_RUN/saved"
      answer "kept $at"
      every=$usual
      return 0
    fi
  elif [ "$1" = by_line ]; then
    printf 'failed %s\n' "$why" || exit 0
  fi
  rm -f "$work/bundle"
  printf '%s\n' "$why" >"$WSDASH_RUN/unsaved"
  answer "failed ${said:-$why}"
  # To try is work too.
  case $every in *[!0-9]*) ;; *) [ "$every" -ge 600 ] || every=$((every * 2)) ;; esac
}

# loop FILE WAY USUAL: until the job ends. FILE says whose turn it is.
loop() {
  printf '%s\n' "$$" >"$folder/$1"
  usual=$3
  every=$usual
  woken=
  sent=
  trap on_wake USR1
  while kill -0 "$WSDASH_MAIN"; do
    woken=
    wish=
    delay=$every
    [ "$1" != depositor ] || [ ! -e "$folder/no-deposits" ] || exit 0
    if [ "$1" = depositor ] && is_alive streamer; then
      delay=$usual
    else
      read -r wish <"$folder/wish"
      if [ -e "$WSDASH_RUN/restored" ]; then
        give "$2"
        delay=$every
      else
        answer 'failed the workspace is not restored yet'
        delay=1
      fi
    fi
    if [ -z "$woken" ]; then
      nap "$delay"
    fi
  done
}

stream() {
  umask 077
  exec 2>/dev/null
  mkdir -p "$folder"
  ! is_alive streamer || kill "$pid"
  rm -rf "$folder"/work.stream.*
  # What is kept there already: none of it is sent again.
  read -r has has_hash || exit 0
  loop streamer by_line "${WSDASH_CHECKPOINT_S:-60}"
}

deposit() {
  umask 077
  # Whoever waits for the end of the job's output must not wait for this process.
  exec >/dev/null 2>&1 </dev/null
  # A runner that ends the job signals every process of it, and the last one is still to be put there.
  trap '' TERM INT HUP
  mkdir -p "$folder"
  find_http
  has=
  if [ "${1:-}" = once ]; then
    sent=
    wish=
    every=once
    usual=once
    [ ! -e "$WSDASH_RUN/restored" ] || [ -e "$folder/no-deposits" ] || give by_project
    return 0
  fi
  loop depositor by_project "${WSDASH_DEPOSIT_S:-300}"
}

# Exit codes: 0 kept; 1 not; 2 nobody takes them.
save() {
  ! have tmux || sh "$here/terminal.sh" keep
  if ! is_alive streamer && ! is_alive depositor; then
    echo 'failed nobody'
    return 2
  fi
  mine=$$.$(date +%s)
  printf '%s\n' "$mine" >"$folder/wish.new" && mv "$folder/wish.new" "$folder/wish"
  end=$(($(date +%s) + ${1:-30}))
  while [ "$(date +%s)" -le "$end" ]; do
    # Whoever is to do it may be another one than at first.
    is_alive streamer || is_alive depositor
    kill -USR1 "$pid" 2>/dev/null
    answered=
    read -r answered outcome 2>/dev/null <"$folder/answer"
    if [ "$answered" = "$mine" ]; then
      printf '%s\n' "$outcome"
      case $outcome in kept*) return 0 ;; esac
      return 1
    fi
    pause 0.2
  done
  echo 'failed it takes too long'
  return 1
}
