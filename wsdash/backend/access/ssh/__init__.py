"""The user's own ssh: its configuration, its known hosts, the sshd of local workspaces and desktop editors."""
