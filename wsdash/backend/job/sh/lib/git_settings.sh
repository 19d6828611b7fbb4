# shellcheck shell=sh disable=SC2154
# Sourced by job.sh: Git's identity of the user, and the credentials of the workspace's addresses.

# In the file that the user's own settings, such as those of dotfiles, come after.
set_git_identity() {
  [ -n "$git_email" ] && have git || return 0
  ! git config --global user.email >/dev/null 2>&1 || return 0
  settings=${XDG_CONFIG_HOME:-${HOME:-}/.config}/git/config
  mkdir -p "${settings%/*}" && git config --file "$settings" user.name "$git_name" &&
    git config --file "$settings" user.email "$git_email"
}

# Git has the credentials that the workspace was given with its addresses, for their hosts: they stand in a file beside
# this script, and in no address, argument or environment. The empty helper takes away those that would keep them.
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
