"""A small runner for tests: it runs jobs as GitLab Runner's shell executor does, services aside.

`Runner(url, token, folder)` is a process of its own (`python -m tests.gitlab_runner`), so that it can be killed
without a goodbye. What it follows: GitLab Runner's `common/build.go`, `shells/abstract.go`, `network/`.
"""

from tests.gitlab_runner.control import Runner

__all__ = ["Runner"]
