"""A GitLab for tests: REST, GraphQL, Git over HTTP and the runner API, as far as wsdash and runners use them.

    with GitLabServer(folder) as server:
        user = server.add_user("ada")
        project = server.add_project("group/app", {"README.md": "hello"}, maintainers=[user])
        token = server.add_token(user)

It has GitLab's state machine, permissions, error texts and paging; the pages that they follow are named where
they stand. `server.faults` breaks it in the ways that the real one breaks, `server.requests` counts what was
asked, `server.clock.advance` lets its time pass. `python -m tests.gitlab_server FOLDER` runs one by hand.
"""

from tests.gitlab_server.server import GitLabServer

__all__ = ["GitLabServer"]
