"""Providers run jobs. `provider_of` makes the one that a context asks for."""

from __future__ import annotations

# As in typing, which the quick verbs do without.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from wsdash.backend.providers.base import Provider
    from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
    from wsdash.paths import Paths

LOCAL = "local"


def provider_of(context: str, paths: Paths, shared: dict[str, SharedListing]) -> Provider:
    """The provider of a context of config.toml; `local` is always there. Raises `LookupError`.

    `shared` holds by address what contexts of one GitLab have in common.
    """
    from wsdash.backend.access.paths import AccessFolder

    if context == LOCAL:
        from wsdash.backend.providers.local import LocalProvider

        return LocalProvider(paths.contexts / context, access=AccessFolder.of(paths))
    from wsdash.config.settings import load_config

    config = load_config(paths.config_file)
    found = config.contexts[context]
    if found.gitlab is not None:
        import time

        from wsdash.backend.providers.gitlab.api.shared_listing import SharedListing
        from wsdash.backend.providers.gitlab.factory import gitlab_provider

        if found.gitlab.url not in shared:
            shared[found.gitlab.url] = SharedListing(time.time)
        return gitlab_provider(
            found.gitlab,
            paths,
            shared=shared[found.gitlab.url],
            access=config.access,
            credential_hosts=config.personal.credential_hosts,
        )
    from wsdash.backend.providers.local import LocalProvider

    return LocalProvider(paths.contexts / context, access=AccessFolder.of(paths))
