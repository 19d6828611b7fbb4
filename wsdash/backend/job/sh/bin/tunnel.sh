#!/bin/sh
# Access to the workspace: an SSH server on loopback, and a reverse tunnel to the relay on the user's machine.
#
#   sh tunnel.sh connect      started by gitlab.sh; ends with it
#   sh tunnel.sh enter     run by the SSH server for each session
#
# Environment: WSDASH_RELAY (host and port), WSDASH_RELAY_KEY (the relay's public key), WSDASH_USER_KEY (the user's),
# WSDASH_ATTEMPT (the name to log in by), WSDASH_RUN, WSDASH_ENROLL_TOKEN_FILE (a file, which is removed once it has been sent).

here=${0%/*}
# shellcheck source=/dev/null
. "$here/common.sh"
access=${here%/job}/access

# The builds folder of a runner may have any name.
quoted=$(in_quotes "$here")
literal=$(printf '%s' "$access" | sed 's/%/%%/g')

# --- the SSH server -----------------------------------------------------------------------------------

# Sets `server` to the image's SSH server, and `kind`.
find_server() {
  kind=openssh
  for server in "$(command -v sshd 2>/dev/null)" /usr/sbin/sshd /usr/local/sbin/sshd; do
    [ -n "$server" ] && [ -x "$server" ] && return 0
  done
  kind=dropbear
  for server in "$(command -v dropbear 2>/dev/null)" /usr/sbin/dropbear /usr/local/sbin/dropbear; do
    [ -n "$server" ] && [ -x "$server" ] && have dropbearkey && return 0
  done
  return 1
}

# Sets `login` to the name of this user. ssh, sshd and ssh-keygen refuse a user without a name, as in pods of OpenShift; there
# the user has group 0 and may write to the password file.
find_user_name() {
  if login=$(id -un 2>/dev/null) && [ -n "$login" ]; then return 0; fi
  login=wsdash
  grep -q '^wsdash:' /etc/passwd 2>/dev/null && login="wsdash$(id -u)"
  [ -w /etc/passwd ] &&
    printf '%s:x:%s:%s::%s:/bin/sh\n' "$login" "$(id -u)" "$(id -g)" "${HOME:-/}" >>/etc/passwd 2>/dev/null &&
    id -un >/dev/null 2>&1
}

make_key() {
  [ -f "$access/$1" ] || ssh-keygen -q -t ed25519 -N '' -C '' -f "$access/$1" </dev/null
}

make_host_key() {
  if [ "$kind" = openssh ]; then make_key host_key; return; fi
  [ -f "$access/host_key" ] || dropbearkey -t ed25519 -f "$access/host_key" >/dev/null 2>&1 </dev/null || return
  dropbearkey -y -f "$access/host_key" 2>/dev/null | grep '^ssh-' >"$access/host_key.pub"
}

# Only newer versions of dropbear have an option for the folder of the keys. Older ones use the user's home, which may be
# written to only if it is the job's own: in a container.
authorize_user() {
  authorized=
  if [ "$kind" = openssh ]; then
    printf '%s\n' "$WSDASH_USER_KEY" >"$access/authorized_keys"
  elif "$server" -h 2>&1 | grep -q '^-D'; then
    mkdir -p "$access/keys"
    printf '%s\n' "$WSDASH_USER_KEY" >"$access/keys/authorized_keys"
    authorized="$access/keys"
  elif [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ]; then
    home=$(getent passwd "$(id -u)" 2>/dev/null || grep "^[^:]*:[^:]*:$(id -u):" /etc/passwd)
    home=$(printf '%s\n' "$home" | cut -d : -f 6)
    mkdir -p "${home:?}/.ssh" && printf '%s\n' "$WSDASH_USER_KEY" >>"$home/.ssh/authorized_keys"
  else
    return 1
  fi
}

configure_sshd() {
  mkdir -p "$access/home"
  cat >"$access/sshd_config" <<EOF
Port $port
ListenAddress 127.0.0.1
HostKey "$access/host_key"
HostCertificate "$access/host_key-cert.pub"
AuthorizedKeysFile "$literal/authorized_keys"
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PidFile none
MaxStartups 100
MaxAuthTries 100
X11Forwarding no
AllowAgentForwarding yes
ForceCommand sh '$quoted/tunnel.sh' enter
Subsystem sftp ${sftp:-internal-sftp}
AcceptEnv LANG LC_* COLORTERM
SetEnv SHLVL=1 "HOME=$access/home"
EOF
  # The user's shell starts each session. Its start-up files must have no effect: bash reads them if it finds SHLVL
  # unset, zsh, fish and tcsh always. They look into an empty home; `enter` sets the job's home again.
  # Before OpenSSH 7.8 there is no such setting.
  "$server" -t -f "$access/sshd_config" 2>/dev/null || {
    sed '/^SetEnv /d' "$access/sshd_config" >"$access/sshd_config.new" && mv "$access/sshd_config.new" "$access/sshd_config"
  }
}

# Starts the server on `port`; sets `server_pid`. A check whether it runs must come after a wait.
serve() {
  if [ "$kind" = openssh ]; then
    configure_sshd
    "$server" -D -e -f "$access/sshd_config" >"$access/server.log" 2>&1 </dev/null &
  else
    # With SHLVL set, bash is not a first shell and reads no start-up files. Old bashes do not set it in sessions.
    inherit=
    ! "$server" -h 2>&1 | grep -q '^-e' || inherit=-e
    env -i PATH="$PATH" SHLVL=1 "$server" -F -E -s -m -p "127.0.0.1:$port" -r "$access/host_key" -P "$access/server.pid" \
      -W 1048576 $inherit ${authorized:+-D "$authorized"} -c "sh '$quoted/tunnel.sh' enter" \
      >"$access/server.log" 2>&1 </dev/null &
  fi
  server_pid=$!
}

# Tries ports until one is free, and restarts a server that ends: sets `port` and `watcher_pid`.
start_server() {
  tries=0
  while [ "$tries" -lt 20 ]; do
    port=$((20000 + ($$ + tries * 1013) % 20000))
    serve
    sleep 1
    if kill -0 "$server_pid" 2>/dev/null; then
      printf '%s\n' "$port" >"$access/port"
      printf '%s\n' "$server_pid" >"$access/pid"
      watch_server
      return 0
    fi
    tries=$((tries + 1))
  done
  return 1
}

watch_server() {
  restart_server &
  watcher_pid=$!
  printf '%s\n' "$watcher_pid" >"$access/watcher"
}

# The tunnel leads to the server's port, and stays up when the server restarts, as do its sessions. The server of a killed job ends.
restart_server() {
  read -r server_pid <"$access/pid"
  while kill -0 "$WSDASH_JOB_PID" 2>/dev/null; do
    if ! kill -0 "$server_pid" 2>/dev/null; then
      say 'The SSH server has ended: the job restarts it.'
      serve
      printf '%s\n' "$server_pid" >"$access/pid"
    fi
    sleep 2 >/dev/null 2>&1
  done
  kill "$server_pid" 2>/dev/null
}

# --- the tunnel ---------------------------------------------------------------------------------------

# Sets `relay` to the host and port for the next try: in turn those that the job began with, and those that came later through
# the tunnel (`move`), which may be wrong.
choose_relay() {
  moved=
  [ "${relay:-$WSDASH_RELAY}" != "$WSDASH_RELAY" ] || read -r moved 2>/dev/null <"$access/relay"
  relay=${moved:-$WSDASH_RELAY}
}

# The file `answer` has the output of ssh. It runs in the background, for a trap waits for what runs in the foreground. It is started in the folder
# of its files, for in a path it would split at blanks and expand % and $.
ssh_relay() {
  cd "$access" || return
  ssh -F /dev/null -o UserKnownHostsFile=known_hosts -o GlobalKnownHostsFile=known_hosts \
    -o HostKeyAlias=wsdash-relay -o StrictHostKeyChecking=yes -o IdentityFile=job_key \
    -o IdentitiesOnly=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 \
    -o Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com \
    -o ExitOnForwardFailure=yes -p "${relay##* }" "$@" \
    "$WSDASH_ATTEMPT@${relay%% *}" >"$access/answer" 2>&1 </dev/null &
  ssh_pid=$!
  printf '%s\n' "$ssh_pid" >"$access/client"
  while :; do
    wait "$ssh_pid"
    # The end of any child interrupts `wait`.
    if [ -n "${watcher_pid:-}" ] && ! kill -0 "$watcher_pid" 2>/dev/null; then watch_server; fi
    kill -0 "$ssh_pid" 2>/dev/null || return 0
  done
}

# Takes over the processes of a killed predecessor: its open tunnel, and the server with its sessions.
take_over() {
  read -r port <"$access/port"
  watcher_pid=
  read -r watcher_pid 2>/dev/null <"$access/watcher" && kill -KILL "$watcher_pid" 2>/dev/null
  watch_server
  read -r ssh_pid 2>/dev/null <"$access/client" || return 0
  while kill -0 "$ssh_pid" 2>/dev/null && ! has_ended "$ssh_pid" && kill -0 "$WSDASH_JOB_PID" 2>/dev/null; do
    pause 1 >/dev/null 2>&1 &
    nap_pid=$!
    wait "$nap_pid"
    if ! kill -0 "$watcher_pid" 2>/dev/null; then watch_server; fi
  done
}

answer_has() {
  grep -q "$1" "$access/answer" 2>/dev/null
}

# Sends the enrollment token with the two public keys and this user's name, in parts, because ssh accepts at most a kilobyte
# at a prompt. The answer contains the certificate of the server's key, or says that there is none.
enroll() {
  {
    cat "$WSDASH_ENROLL_TOKEN_FILE"
    for key in job_key host_key; do
      read -r type data _ <"$access/$key.pub"
      printf ' %s:%s' "$type" "$data"
    done
    [ "$kind" = openssh ] || printf ' plain'
    printf ' user=%s' "$login"
    echo
  } | tr -d '\n' >"$access/enrollment"
  cat >"$access/askpass" <<EOF
#!/bin/sh
part=\${1##*part }
part=\${part%%:*}
cut -c \$((part * 900 - 899))-\$((part * 900)) '$(in_quotes "$access")/enrollment'
EOF
  chmod 700 "$access/askpass"
  SSH_ASKPASS=$access/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=none:0
  export SSH_ASKPASS SSH_ASKPASS_REQUIRE DISPLAY
  ssh_relay -N -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1
  rm -f "$access/enrollment"
  tr -d '\r' <"$access/answer" | sed -n 's/^wsdash-host-certificate //p' >"$access/host_key-cert.pub"
  unset SSH_ASKPASS SSH_ASKPASS_REQUIRE DISPLAY
}

# shellcheck disable=SC2317,SC2329  # called by a trap
end() {
  # They inherit the signals that this process ignores.
  [ -z "${watcher_pid:-}" ] || kill -KILL "$watcher_pid" 2>/dev/null
  [ ! -f "$access/pid" ] || kill "$(cat "$access/pid")" 2>/dev/null
  for process in ${ssh_pid:-} $nap_pid; do kill -KILL "$process" 2>/dev/null; done
  exit 0
}

# give_up WORD TEXT: ends the wait for data that can only come through the tunnel. The heartbeat has the word.
give_up() {
  say "$2"
  printf '%s\n' "$1" >"$WSDASH_RUN/tunnel"
  : >"$WSDASH_RUN/unreachable"
  exit 0
}

# Sets the reason of the last failure, a word for the heartbeat: the user's machine learns nothing else of a job that cannot
# connect to it.
note_failure() {
  if answer_has 'Could not resolve'; then why=no-name
  elif answer_has 'Connection refused'; then why=closed
  elif answer_has 'timed out'; then why=timeout
  elif answer_has 'No route\|unreachable'; then why=no-route
  elif answer_has 'Host key verification failed'; then why=host-key
  elif answer_has 'Permission denied'; then why=denied
  else why=lost; fi
  { printf '%s\n' "$why" >"$WSDASH_RUN/tunnel"; } 2>/dev/null
}

connect() {
  umask 077
  mkdir -p "$access"
  if ! have ssh || ! have ssh-keygen; then
    give_up no-ssh 'The image has no ssh, so the workspace cannot be entered: only its log and its state are visible.'
  fi
  if ! find_server; then
    give_up no-sshd 'The image has no SSH server (openssh-server or dropbear), so the workspace cannot be entered.'
  fi
  if ! find_user_name; then
    give_up no-user "The job's user $(id -u) has no name in the image (/etc/passwd), and ssh does not work without one, so the \
workspace cannot be entered."
  fi
  for sftp in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server; do
    [ ! -x "$sftp" ] || break
    sftp=
  done
  [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
  if ! { make_key job_key && make_host_key; }; then
    give_up no-keys 'The SSH keys could not be made, so the workspace cannot be entered.'
  fi
  if ! authorize_user; then
    give_up old-dropbear "The image's dropbear is too old to log in to outside of a container: install openssh-server."
  fi
  printf 'wsdash-relay %s\n' "$WSDASH_RELAY_KEY" >"$access/known_hosts"
  # A runner that ends the job signals all of its processes, but the last checkpoint needs the tunnel.
  trap '' TERM INT HUP
  trap end USR1
  trap : CHLD
  delay=0.3
  refused=0
  enrolled=
  relay=
  now=0
  if [ -e "$access/enrolled" ]; then
    enrolled=yes
    take_over
  fi
  while kill -0 "$WSDASH_JOB_PID" 2>/dev/null; do
    choose_relay
    if [ -z "$enrolled" ]; then
      enroll
      # Not judged by how the connection ended: a relay that must make room closes one without a message.
      if answer_has '^wsdash-enrolled\|^wsdash-host-certificate'; then
        enrolled=yes
        delay=0.3
        rm -f "$WSDASH_RUN/tunnel"
        rm -f "$WSDASH_ENROLL_TOKEN_FILE"
        if ! start_server; then
          give_up sshd-fails "The image's SSH server does not start, so the workspace cannot be entered: $(
            tail -n 1 "$access/server.log"
          )"
        fi
        : >"$access/enrolled"
      fi
    fi
    if [ -n "$enrolled" ]; then
      say "The job connects to your machine: wsdash ssh can enter the workspace."
      set_now
      began=$now
      ssh_relay -N -o BatchMode=yes -R "/wsdash/$WSDASH_WORKSPACE:127.0.0.1:$port"
      say "The tunnel to your machine is down: the job reconnects."
      set_now
      [ $((now - began)) -lt 30 ] || delay=0.3 refused=0
    fi
    note_failure
    if answer_has 'Permission denied'; then
      refused=$((refused + 1))
      # The relay may not know this job yet, because no process polls GitLab.
      if [ "$refused" -ge 3 ]; then
        [ "$refused" -gt 3 ] || say 'Your machine rejects this job. The job tries again from time to time.'
        delay=20
      fi
    elif answer_has 'Host key verification failed'; then
      say 'The host that answers for your machine has another host key, so the job sends it no data.'
      delay=60
    fi
    pause "$delay" >/dev/null 2>&1 &
    nap_pid=$!
    wait "$nap_pid"
    case $delay in
      0.3) delay=1 ;;
      *) [ "$delay" -ge 20 ] || delay=$((delay * 2 + $$ % 2)) ;;
    esac
  done
  end
}

# move HOST PORT: from the user's machine, whose relay has another address now. The tunnel that stands is not touched.
move() {
  case "$1$2" in *[!A-Za-z0-9.:%_-]* | -*) exit 64 ;; esac
  case ${2:-no} in *[!0-9]*) exit 64 ;; esac
  umask 077
  printf '%s %s\n' "$1" "$2" >"$access/relay.new" && mv "$access/relay.new" "$access/relay"
  exit
}

# --- a session ----------------------------------------------------------------------------------------

enter() {
  # The language and the colours are those of the terminal, not of the job.
  names=$(env | sed -n -e 's/^\(LC_[A-Z]*\)=.*/\1/p' -e 's/^\(LANG\)=.*/\1/p' -e 's/^\(COLORTERM\)=.*/\1/p')
  for name in $names; do eval "given_$name=\$$name"; done
  # shellcheck source=/dev/null
  . "$access/environment"
  for name in $names; do eval "export $name=\"\$given_$name\""; done
  case ${SSH_ORIGINAL_COMMAND:-} in
    # These are not sessions of the user, so they do not count as activity.
    'wsdash-checkpoint '*)
      # shellcheck disable=SC2086
      exec sh "$here/checkpoint.sh" ${SSH_ORIGINAL_COMMAND#* }
      ;;
    wsdash-stop)
      kill -TERM "$WSDASH_JOB_PID" && echo stopping
      exit
      ;;
    wsdash-keys) exec sh "$here/receive_keys.sh" ;;
    'wsdash-relay '*)
      # shellcheck disable=SC2086
      move ${SSH_ORIGINAL_COMMAND#* }
      ;;
    wsdash-heartbeats) exec sh "$here/gitlab.sh" heartbeats ;;
    wsdash-listening | wsdash-shells) exec sh "$here/job.sh" "${SSH_ORIGINAL_COMMAND#wsdash-}" "$here/workload.sh" ;;
    'wsdash-credentials serve') exec sh "$here/credentials.sh" serve ;;
  esac
  # What Git needs of these its credential helper has.
  unset CI_JOB_TOKEN CI_REPOSITORY_URL CI_REGISTRY_PASSWORD CI_DEPENDENCY_PROXY_PASSWORD CI_DEPLOY_PASSWORD
  if [ -n "${SSH_ORIGINAL_COMMAND:-}" ]; then
    exec sh "$here/job.sh" enter "$here/workload.sh" sh -c "$SSH_ORIGINAL_COMMAND"
  fi
  if have tmux && [ -t 0 ]; then
    exec sh "$here/job.sh" enter "$here/workload.sh" sh "$here/terminal.sh" enter
  fi
  exec sh "$here/job.sh" enter "$here/workload.sh"
}

case ${1:-} in
  connect) connect ;;
  enter) enter ;;
  *) printf 'usage: sh tunnel.sh connect|enter\n' >&2; exit 64 ;;
esac
