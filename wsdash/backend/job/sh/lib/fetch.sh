# shellcheck shell=sh disable=SC2154,SC2034
# The fetch entry of job.sh, which sources this file: clones the source into the workspace.
# Git never runs in a checkout that existed before: any process may have written its .git/config.

source_failed=75       # a retry may succeed: network, a server's trouble
configuration_wrong=78 # a retry will not help: no git, no such repository, no such ref

refuse() {
  say "$1"
  return "$configuration_wrong"
}

# Whether git's answer in file $1 shows that a retry will not help. The phrases are git's own
# (LC_ALL=C), those of ssh, and those of the big forges.
is_permanent() {
  while read -r answer || [ -n "$answer" ]; do
    case $answer in
      *'does not appear to be a git repository'* | *'not a git repository'* | *'does not exist'* | \
        *'epository not found'* | *"repository '"*"' not found"* | *'could not be found'* | \
        *'dubious ownership'* | *'Authentication failed'* | *'could not read Username'* | \
        *'could not read Password'* | *'Permission denied'* | *'Access denied'* | *'Host key verification failed'* | \
        *'not allowed'* | *'Unable to find remote helper'* | *'Remote branch '*' not found'* | \
        *"couldn't find remote ref"* | *'not our ref'* | *'requested URL returned error: 40'[0134]* | *'not valid: is this a git repository'* | \
        *'unable to find remote helper'* | *'No such file or directory'* | *'invalid refspec'*)
        return 0
        ;;
    esac
  done <"$1"
  return 1
}

# Git prints addresses as its settings rewrite them (url.BASE.insteadOf): the part before their host is removed. So is
# the advice that it prints after any failure of ssh, which would hide the cause.
show_answer() {
  while read -r answer || [ -n "$answer" ]; do
    case $answer in
      'Please make sure you have the correct access rights' | 'and the repository exists.') continue ;;
    esac
    shown=
    while :; do
      case $answer in
        *://*) ;;
        *) break ;;
      esac
      shown=$shown${answer%%://*}://
      answer=${answer#*://}
      host=${answer%%[/ ]*}
      case $host in
        *@*) answer=${answer#"${host%@*}@"} ;;
      esac
    done
    printf '%s\n' "$shown$answer"
  done <"$1"
}

# Runs git with its answers stored and shown, without hooks, prompts, or transports that run commands.
ask_git() {
  git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c advice.detachedHead=false "$@" \
    >"$work/answer" 2>&1 </dev/null
  status=$?
  show_answer "$work/answer"
  [ "$status" -ne 0 ] || return 0
  if is_permanent "$work/answer"; then return "$configuration_wrong"; fi
  return "$source_failed"
}

commit_of() {
  git -C "$clone" rev-parse --verify --quiet --end-of-options "$1^{commit}" 2>/dev/null
}

check_out() {
  if [ -z "$source_ref" ]; then
    if [ -z "$(commit_of HEAD)" ]; then
      say 'The repository has no commit on its default branch; the project starts empty.'
      return 0
    fi
    ask_git -C "$clone" reset --hard --quiet
    return
  fi
  if [ -n "$(commit_of "refs/remotes/origin/$source_ref")" ]; then
    ask_git -C "$clone" checkout --quiet -B "$source_ref" --track "refs/remotes/origin/$source_ref" --
    return
  fi
  commit=$(commit_of "$source_ref")
  if [ -z "$commit" ]; then
    # A commit that no branch or tag reaches, or a ref outside of both: servers may still send it.
    ask_git -C "$clone" fetch --quiet origin "$source_ref" || {
      status=$?
      [ "$status" -eq "$configuration_wrong" ] || return "$status"
      refuse "The repository has no branch, tag or commit $source_ref. Check the ref."
      return
    }
    commit=$(commit_of FETCH_HEAD)
  fi
  ask_git -C "$clone" checkout --quiet --detach "$commit" --
}

# Lists the commits of the source, so that they do not count as work of the workspace as long as the source exists: a tag, or
# the commit that the ref named, may be on none of its branches.
note_fetched() {
  {
    printf 'source %s\n' "$source_url"
    git -C "$clone" rev-parse --quiet --verify HEAD
    git -C "$clone" for-each-ref --format='%(objectname)' refs/tags refs/remotes
  } >"$clone/.git/wsdash-fetched" 2>/dev/null
}

check_source() {
  transport=${source_url%%::*}
  case $source_url in
    -*) refuse "The source may not begin with a dash: $source_url" || return ;;
    *::*)
      case $transport in
        *[!A-Za-z0-9+.-]*) ;; # an IPv6 address
        *) refuse "The source's transport $transport:: could run a command and is refused. Use https or ssh." || return ;;
      esac
      ;;
  esac
  case $source_ref in
    -*) refuse "The ref may not begin with a dash: $source_ref" || return ;;
  esac
  have git || refuse 'git is missing, so the source cannot be cloned. Install git.'
}

# The folder's parent, which must be below the root even if an earlier job has left symbolic links.
make_parent() {
  parent=${PROJECT_SOURCE%/*}
  root=$(cd -P "$PROJECTS_ROOT" && pwd -P) || return "$configuration_wrong"
  nearest=$parent
  while ! [ -d "$nearest" ]; do
    ! [ -L "$nearest" ] || break
    nearest=${nearest%/*}
  done
  real=$(cd -P "$nearest" 2>/dev/null && pwd -P) || real=
  case $real/ in
    "$root"/*) mkdir -p "$parent" || return "$configuration_wrong" ;;
    *) refuse "$parent leads out of the workspace by a symbolic link; remove it and start again." ;;
  esac
}

fetch_source() {
  if [ -z "$source_url" ]; then
    say 'The workspace has no source; the project starts empty.'
    return 0
  fi
  if [ -e "$PROJECT_SOURCE" ] || [ -L "$PROJECT_SOURCE" ]; then
    say "$project_folder is already there: the existing work is kept and nothing is fetched."
    return 0
  fi
  check_source || return
  make_parent || return
  work=$PROJECTS_ROOT/.wsdash-fetch
  clone=$work/clone
  rm -rf "$work"
  mkdir "$work" || return "$configuration_wrong"
  say "cloning $source_url"
  # --no-local: files shared with a repository on this machine could be changed through the workspace.
  ask_git clone --no-checkout --no-local -- "$source_url" "$clone" || return
  check_out || return
  note_fetched
  [ ! -e "$clone/.gitmodules" ] ||
    say 'The repository has submodules, which are not cloned. Run: git submodule update --init'
  if [ -e "$PROJECT_SOURCE" ]; then
    refuse "$project_folder has appeared meanwhile; nothing is overwritten."
    return
  fi
  mv "$clone" "$PROJECT_SOURCE" || return "$configuration_wrong"
}

do_fetch() {
  # A hook that started wsdash would make git work in its repository.
  unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR GIT_CONFIG \
    GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE GIT_PREFIX
  export LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=file:git:http:https:ssh
  step_started fetch ''
  work=
  fetch_source
  status=$?
  [ -z "$work" ] || rm -rf "$work"
  step_ended fetch '' "$status"
  if [ "$status" -eq 0 ] && [ -n "${WSDASH_AFTER_FETCH:-}" ]; then
    step_started restore ''
    sh -c "$WSDASH_AFTER_FETCH" </dev/null
    step_ended restore '' "$?"
  fi
  kill -USR1 "$$" 2>/dev/null
  exit "$status"
}

job_fetch() {
  do_fetch &
  worker=$!
  beat_until worker
  if [ -n "$stop" ]; then
    end_tree "$worker"
    await_worker
    rm -rf "$PROJECTS_ROOT/.wsdash-fetch"
    emit_end cancelled 'ended on request'
    exit "$done_well"
  fi
  await_worker
  exit "$status"
}
