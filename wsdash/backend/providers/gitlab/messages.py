"""Why a job waits, and what it could not keep or bring back: in words for the user."""

WAITS = {
    "created": "GitLab has made the pipeline and not started it yet",
    "waiting_for_resource": "waits until GitLab lets go of the job before, which holds the workspace's resource group",
    "waiting_for_callback": "waits for a callback that GitLab expects",
    "preparing": "GitLab prepares the job",
    "manual": "GitLab waits for somebody to start the job by hand",
    "scheduled": "GitLab starts the job later",
    "pending": "waiting for a runner",
}
UNSAVED = {
    "too-large": "what is unsaved is too much for a checkpoint: .gitignore can leave out what need not be kept",
    "disk": "the job's disk has no room for a checkpoint",
    "no-git": "the image has no git, which checkpoints need",
    "unreadable": "files of the project cannot be read",
    "no-folder": "the project's folder is gone",
    "no-repository": "the project's repository cannot be read",
    "others": "not all of the repositories and files beside the project's own could be put into the checkpoint",
    "registry": "the project takes no checkpoint: its package registry may be off or full, and its jobs may not push",
    "refused": "this machine has no room for the checkpoint",
    "missed": "the checkpoint that is kept could not be put back, so it stays as it is",
}
"""What checkpoint.sh says of why none could be made or kept."""
CACHE_MISSED = (
    "the saved state did not come with the cache (it was cleared, has expired, or is another runner's), so what it"
    " alone held (home, ignored files) starts afresh here; from here on it is saved as usual"
)
CACHE_OLDER = (
    "the cache brought an older state than the one that was saved last, so what only that had (home, ignored files) is"
    " missing here; from here on it is saved as usual"
)
CACHE_DAMAGED = (
    "the saved state could not be unpacked whole (it is damaged, or the disk is full): what is missing here is in its"
    " archive, which is set aside in the folder `aside` beside home"
)
CACHE_LOCKED = (
    "what the cache holds is encrypted and was not opened, so it starts afresh here, and that stays in the cache: the"
    " image has no openssl, no tunnel leads to your machine, or the key is another one"
)
CACHE_UNSAVED = (
    "what it had at its end was not packed or encrypted, so the cache stays as it was before: its disk may be full, the"
    " key did not come, or the folder is too large for the time that after_script has"
)
VOLUME_MISSED = (
    "the workspace's folder is not on the volume of this runner, so it starts afresh here: the tags must choose the"
    " runner that has it"
)
DISK_FULL = (
    "the job's disk is full, or takes nothing for another reason (a quota, no inodes, read-only): nothing is saved"
    " until there is room. Remove what is not needed (`wsdash ssh`); the job is not replaced for it"
)
SSH_DOWN = (
    "its SSH server has ended, so ssh cannot enter it; the job starts it again every two seconds, and its log says why"
    " that fails"
)
VOLUME_UNMOUNTED = (
    "this runner does not have the volume, or the workspace's folder there is another user's, so nothing of this job is"
    " kept but by checkpoints: the tags must choose the runner that has it"
)
VOLUME_OLDER = (
    "the workspace's folder on the volume of this runner is older than another one that was worked in since: the tags"
    " must choose the runner that has it"
)
SUPERSEDED_STATE = (
    "an older state that was worked in elsewhere is set aside: its folder `aside/{}` beside home has it"
)
CACHE_IS_LOCAL = (
    "its runner keeps caches on its own disk alone: a job on another one would start without, so tags should pin one,"
    " or the runner get a shared cache"
)
STUCK = "no runner takes it: none is online with these tags; GitLab drops it after an hour"
