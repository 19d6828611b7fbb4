# shellcheck shell=sh disable=SC2154,SC2034
# Encrypted caches: only this workspace's jobs can read and create the archive of gitlab_storage.sh.
# Sourced by gitlab.sh after gitlab_storage.sh, whose functions of the same names it replaces.
#
# $base/cache/state-NUMBER.MAC is a gzipped tar, encrypted with AES-256 by a key that openssl derives from the first word
# (PBKDF2); MAC is its HMAC-SHA256 by the second word, which is verified before the file is read.
# From gitlab.sh: base, root, run, tunnel_pid, ended; $run/keys from receive_keys.sh.

# Called once there is a tunnel, through which the key comes.
restore_state() {
  finish_swap
  migrate_old_layout
  migrate_old_encrypted
  find_archive
  if [ -z "$archive" ]; then
    have openssl || report_problem cache locked 'The image has no openssl, which encrypt_cache needs: nothing goes into the cache.'
  elif ! is_encrypted "$archive"; then
    # A plain cache from before encrypt_cache was set.
    ! is_newer "$archived" "$(number_of "$root")" || open_archive || keep_damaged
  elif ! open_encrypted; then
    # Any job may have changed plain files that a dead job has left, so no job uses them.
    if [ -d "$root" ] && mv "$root" "$base/replaced"; then
      mkdir -p "$root"
      keep_superseded "$base/replaced"
    fi
  fi
  begin_state
}

# If there is an encrypted archive, only that counts, because no other job could have created it.
may_open() {
  is_encrypted "$1" && return
  for encrypted in "$base"/cache/state-*; do
    ! { [ -e "$encrypted" ] && is_encrypted "$encrypted"; } || return 1
  done
}

# The previous version gave it no number.
migrate_old_encrypted() {
  # shellcheck disable=SC2012
  older=$(ls -t "$base"/sealed/work-* 2>/dev/null | head -n 1)
  [ -z "$older" ] || { mkdir -p "$base/cache" && mv "$older" "$base/cache/state-0.1.${older##*/work-}"; }
  rm -rf "$base/sealed"
}

# Opens the archive of the cache with the key that the user's machine sends.
open_encrypted() {
  if ! have openssl; then
    report_problem cache locked 'The image has no openssl, which encrypt_cache needs: nothing goes into the cache, or comes from it.'
    return 1
  fi
  say 'Waiting for the key of the cache, which your machine sends.'
  waited=0
  until [ -f "$run/keys" ]; do
    if [ -z "$tunnel_pid" ] || [ -n "$ended" ] || [ -e "$run/unreachable" ] || [ "$waited" -ge "${WSDASH_RECEIVE_S:-120}" ]; then
      report_problem cache locked "The key did not arrive: this job starts without the state $archived, which stays in the cache."
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  until open_archive; do
    report_problem cache locked "The state $archived in the cache was not made with this key, or is damaged: it stays in the cache."
    rm -rf "$base/draft"
    unopened="$unopened $archive"
    find_archive
    if [ -z "$archive" ] || ! is_encrypted "$archive"; then return 1; fi
  done
}

read_keys() {
  read -r key mac_key 2>/dev/null <"$run/keys"
}

# bytes HEX MASK: prints the bytes of the hexadecimal digits, each XORed with the mask. The digits stay inside the shell.
bytes() {
  rest=$1
  while [ -n "$rest" ]; do
    byte=$((0x${rest%"${rest#??}"} ^ $2))
    rest=${rest#??}
    # shellcheck disable=SC2059  # an octal escape is a format
    printf "\\$((byte / 64))$((byte / 8 % 8))$((byte % 8))"
  done
}

sha256() {
  openssl dgst -sha256 2>/dev/null | sed 's/.*[= ]//'
}

# mac_of FILE: HMAC (RFC 2104) as two hashes, because openssl gets the key of its own HMAC as an argument, visible to others.
mac_of() {
  block=${mac_key}0000000000000000000000000000000000000000000000000000000000000000 # 64 bytes: the block of SHA-256
  inner=$({ bytes "$block" 54 && cat "$1"; } | sha256)
  [ "${#inner}" -eq 64 ] && { bytes "$block" 92 && bytes "$inner" 0; } | sha256
}

cipher() {
  # The key is in no argument, which would be visible to others.
  printf '%s\n' "$key" >"$run/key" && openssl enc -aes-256-ctr -pbkdf2 -md sha256 -pass "file:$run/key" "$@" 2>/dev/null
}

unpack() { # ARCHIVE FOLDER
  if ! is_encrypted "$1"; then
    tar -C "$2" -xpf "$1" 2>/dev/null || incomplete=yes
    return 0
  fi
  read_keys && [ "${1##*.}" = "$(mac_of "$1")" ] || return
  { cipher -d -in "$1" | gzip -dc | tar -C "$2" -xpf -; } 2>/dev/null || incomplete=yes
  # The previous version wrote no number.
  if [ "$archived" = 0.1 ] && ! [ -f "$2/packed" ] && [ -f "$2/state/saved" ]; then echo 0.1 >"$2/packed"; fi
}

pack() {
  if ! read_keys; then
    report_problem cache unsaved 'The key of the cache did not arrive from your machine: nothing of this job goes into the cache.'
    return 1
  fi
  # A file that is unreadable or changes meanwhile does not prevent the archive.
  # shellcheck disable=SC2086
  tar -C "$root" -cf - home projects volumes state $aside packed 2>/dev/null | gzip -1 | cipher -out "$draft"
  mac=$(mac_of "$draft" 2>/dev/null)
  suffix=.$mac
  [ "${#mac}" -eq 64 ] && [ "$(cipher -d -in "$draft" | gzip -dc 2>/dev/null | tar -tf - 2>/dev/null | tail -n 1)" = packed ] && return
  report_problem cache unsaved 'The work could not be encrypted, so the cache stays as it was: the disk may be full.'
  return 1
}

# No plain copy of the cache's content stays on a runner that keeps its folders.
remove_plaintext() {
  rm -f "$run/keys" "$run/key"
  [ -n "${CI_DISPOSABLE_ENVIRONMENT:-}" ] || ! [ -f "$run/stored" ] || rm -rf "${root:?}"
}
