"""Workspaces as CI jobs of a GitLab project."""
