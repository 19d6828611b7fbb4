# shellcheck shell=sh disable=SC2154
# Sourced by job.sh: Git's identity of the user, and the credentials of the workspace's addresses.

# Written into a file that Git reads before the user's own settings, such as those of dotfiles.
set_git_identity() {
  [ -n "$git_email" ] && have git || return 0
  ! git config --global user.email >/dev/null 2>&1 || return 0
  settings=${XDG_CONFIG_HOME:-${HOME:-}/.config}/git/config
  mkdir -p "${settings%/*}" && git config --file "$settings" user.name "$git_name" &&
    git config --file "$settings" user.email "$git_email"
}

# Gives Git the credentials of the workspace's addresses for their hosts. They are in a file next to this script, and in no
# address, argument or environment. The empty helper removes helpers that would store them.
give_credentials() {
  [ -r "$WSDASH_SCRIPTS/git-credentials" ] || return 0
  while read -r line; do
    user=${line#*://}
    user=${user%@*}
    url=${line%%://*}://${line##*@}
    case ${url#*://} in */*) git_setting "credential.$url.useHttpPath" true ;; esac
    case $user in
      *:*)
        git_setting "credential.$url.helper" ''
        # shellcheck disable=SC2016  # expanded by the helper itself
        git_setting "credential.$url.helper" \
          '!f() { [ "$1" != get ] || git credential-store --file "$WSDASH_SCRIPTS/git-credentials" get; }; f'
        ;;
      *) git_setting "credential.$url.username" "$user" ;;
    esac
  done <"$WSDASH_SCRIPTS/git-credentials"
  unset line user url
}
