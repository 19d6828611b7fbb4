# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by checkpoint.sh: sends checkpoints out of the job, through its tunnel or into the project, as long as it runs.

# A request is removed only after its answer: the process that has read it may end, and the next one reads it again.
answer_request() {
  [ -n "$request" ] || return 0
  printf '%s %s\n' "$request" "$1" >"$folder/answer.new" && mv "$folder/answer.new" "$folder/answer"
  latest=
  read -r latest <"$folder/request"
  [ "$latest" != "$request" ] || rm -f "$folder/request"
}

is_alive() { # FILE: whether the process with this id runs, and the id was not reused; sets `pid`
  pid=
  read -r pid 2>/dev/null <"$folder/$1"
  [ -n "$pid" ] || return
  if [ -n "$has_proc" ]; then
    grep -q checkpoint "/proc/$pid/cmdline" 2>/dev/null
  else
    ps -o args= -p "$pid" 2>/dev/null | grep -q checkpoint
  fi
}

# Sends `new` and the bytes, or `same`. Without an answer there is no receiver.
to_tunnel() {
  if [ "$tip" = "$sent" ]; then
    printf 'same %s %s\n' "$last" "$at"
  else
    printf 'new %s %s %s %s %s\n' "$id" "$base" "$at" "$size" "$hash"
    cat "$file" || exit 0
    has=
  fi
  # A trapped signal would end the read, and with it this process.
  trap '' USR1
  read -r reply rest || exit 0
  trap on_wake USR1
  [ "$reply" = kept ] && return 0
  why=refused
  detail=$rest
  return 1
}

registry() { # ID
  printf '%s' "$CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/generic/wsdash-$WSDASH_WORKSPACE/$1/checkpoint.bundle"
}

# Sends it into the project's package registry, and compares it with a download from there.
to_registry() {
  upload "$(registry "$id")" "$file"
  case $code in 2??) ;; *) fail registry || return ;; esac
  download "$(registry "$id")" "$work/check"
  case $code in 2??) ;; *) fail registry || return ;; esac
  [ "$(git hash-object --no-filters --stdin <"$work/check")" = "$hash" ] || fail registry || return
  rm -f "$work/check"
  record_upload registry
}

record_upload() {
  printf '%s:%s\n' "$1" "$id" >"$WSDASH_RUN/remote-checkpoint.new" && mv "$WSDASH_RUN/remote-checkpoint.new" "$WSDASH_RUN/remote-checkpoint"
}

# Sends it on a branch of the workspace, if the project lets its jobs push: one commit with the bundle, which the next one
# replaces. The commit's hash covers everything in it.
to_branch() {
  blob=$(shadow_git hash-object -w --no-filters "$file") &&
    tree=$(printf '100644 blob %s\tcheckpoint.bundle\n' "$blob" | shadow_git mktree) &&
    commit=$(printf 'checkpoint %s [skip ci]\n' "$id" | shadow_git commit-tree "$tree") || fail disk || return
  shadow_git push --quiet --force "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$commit:$branch" >/dev/null 2>&1 &&
    shadow_git ls-remote "$CI_SERVER_URL/$CI_PROJECT_PATH.git" "$branch" 2>/dev/null | grep -q "^$commit" || fail registry || return
  record_upload branch
}

to_project() {
  [ "$tip" != "$sent" ] || return 0
  to_registry || to_branch
}

# send_checkpoint TO: sends one, by to_tunnel or to_project, and records the result in `saved` or `unsaved`, and for a waiting
# process.
send_checkpoint() {
  # A second earlier: `now` is rounded twice, and a time at which more was there than is saved would promise too much.
  set_now
  at=$((now - 1))
  why=
  detail=
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
      printf '%s\n' "${1#to_}" >"$WSDASH_RUN/saved-by"
      printf '%s\n' "$at" >"$WSDASH_RUN/saved.new" && mv "$WSDASH_RUN/saved.new" "$WSDASH_RUN/saved"
      answer_request "kept $at"
      every=$usual
      return 0
    fi
  elif [ "$1" = to_tunnel ]; then
    printf 'failed %s\n' "$why" || exit 0
  fi
  rm -f "$work/bundle"
  printf '%s\n' "$why" >"$WSDASH_RUN/unsaved"
  answer_request "failed ${detail:-$why}"
  # The attempt itself takes time, too.
  case $every in *[!0-9]*) ;; *) [ "$every" -ge 600 ] || every=$((every * 2)) ;; esac
}

# loop FILE TO USUAL: until the job ends, each USUAL seconds. FILE has this process's id.
loop() {
  printf '%s\n' "$$" >"$folder/$1"
  usual=$3
  every=$usual
  woken=
  sent=
  trap on_wake USR1
  while kill -0 "$WSDASH_JOB_PID"; do
    woken=
    request=
    delay=$every
    [ "$1" != uploader ] || [ ! -e "$folder/no-uploads" ] || exit 0
    if [ "$1" = uploader ] && is_alive streamer; then
      delay=$usual
    else
      read -r request <"$folder/request"
      if [ -e "$WSDASH_RUN/restored" ]; then
        send_checkpoint "$2"
        delay=$every
      else
        answer_request 'failed the workspace is not restored yet'
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
  # The newest one that is stored there is not sent again.
  read -r has has_hash || exit 0
  loop streamer to_tunnel "${WSDASH_CHECKPOINT_S:-60}"
}

upload_checkpoints() {
  umask 077
  # A process that waits for the end of the job's output must not wait for this process.
  exec >/dev/null 2>&1 </dev/null
  # A runner that ends the job signals all of its processes, but the last checkpoint is still to be stored.
  trap '' TERM INT HUP
  mkdir -p "$folder"
  find_http
  has=
  if [ "${1:-}" = once ]; then
    sent=
    request=
    every=once
    usual=once
    [ ! -e "$WSDASH_RUN/restored" ] || [ -e "$folder/no-uploads" ] || send_checkpoint to_project
    return 0
  fi
  loop uploader to_project "${WSDASH_REMOTE_CHECKPOINT_S:-300}"
}

# Exit codes: 0 stored; 1 not stored; 2 there is no receiver.
save() {
  ! have tmux || sh "$here/terminal.sh" save
  if ! is_alive streamer && ! is_alive uploader; then
    echo 'failed nobody'
    return 2
  fi
  set_now
  own_request=$$.$now
  printf '%s\n' "$own_request" >"$folder/request.new" && mv "$folder/request.new" "$folder/request"
  end=$((now + ${1:-30}))
  while set_now && [ "$now" -le "$end" ]; do
    # It may be another process than at first.
    is_alive streamer || is_alive uploader
    kill -USR1 "$pid" 2>/dev/null
    answered=
    read -r answered outcome 2>/dev/null <"$folder/answer"
    if [ "$answered" = "$own_request" ]; then
      printf '%s\n' "$outcome"
      case $outcome in kept*) return 0 ;; esac
      return 1
    fi
    pause 0.2
  done
  echo 'failed it takes too long'
  return 1
}
