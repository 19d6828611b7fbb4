"""Sentences for the user: why a job waits, and which data it could not save or restore."""

WAITS = {
    "created": "GitLab has created the pipeline but not started it yet",
    "waiting_for_resource": "waiting for the previous job to release the workspace's resource group",
    "waiting_for_callback": "GitLab is waiting for a callback",
    "preparing": "GitLab is preparing the job",
    "manual": "GitLab is waiting for a user to start the job by hand",
    "scheduled": "GitLab has scheduled the job for later",
    "pending": "waiting for a runner",
}
UNSAVED = {
    "too-large": "unsaved work is too large for a checkpoint: exclude files that need not be saved in .gitignore",
    "disk": "the job's disk has no room for a checkpoint",
    "no-git": "the image has no git, which checkpoints need",
    "unreadable": "files of the project cannot be read",
    "no-folder": "the project's folder does not exist",
    "no-repository": "the project's repository cannot be read",
    "others": "some repositories or files outside the project could not be added to the checkpoint",
    "registry": "the project accepts no checkpoint: its package registry may be off or full, and its jobs may not push",
    "refused": "this machine has no room for the checkpoint",
    "missed": "the last checkpoint could not be restored, so it is kept unchanged",
}
"""The reasons of checkpoint.sh why no checkpoint could be created or stored."""
CACHE_MISSED = (
    "the saved state did not come with the cache (it was cleared, has expired, or belongs to another runner): home and"
    " ignored files start empty here, and are saved as usual from now on"
)
CACHE_OLDER = (
    "the cache has an older state than the one saved last: the newer changes of home and ignored files are missing"
    " here; saving continues as usual"
)
CACHE_DAMAGED = (
    "the saved state could not be unpacked completely (it is damaged, or the disk is full): its archive, with the"
    " missing files, is in the folder `aside` next to home"
)
CACHE_LOCKED = (
    "the cache is encrypted and could not be opened, so the workspace starts without it; the cache keeps it. The image"
    " has no openssl, the job has no tunnel to your machine, or the key is a different one"
)
CACHE_UNSAVED = (
    "its last state was not packed or encrypted, so the cache keeps the previous one: the job's disk may be full, the"
    " key did not arrive, or the folder is too large for the time of after_script"
)
VOLUME_MISSED = (
    "the workspace's folder is not on the volume of this runner, so it starts empty here: choose tags that select the"
    " runner that has it"
)
DISK_FULL = (
    "the job's disk is full or not writable (a quota, no inodes, read-only): nothing is saved until there is space."
    " Remove files that are not needed (`wsdash ssh`); the job is not replaced because of this"
)
DEBUG_TRACE = (
    "CI_DEBUG_TRACE is set for its job (by the project, a group, GitLab's administrator or the runner): the log shows"
    " every command with its variables, also secrets. Have it removed, and the log deleted"
)
LOG_CUT = (
    "its log has reached its runner's limit (output_limit, 4 MB unless it is set): what its commands write from now on"
    " is in no log"
)
SSH_DOWN = (
    "its SSH server has ended, so ssh cannot enter it; the job starts it again every two seconds, and its log says why"
    " that fails"
)
VOLUME_UNMOUNTED = (
    "this runner does not have the volume, or another user owns the workspace's folder there, so only checkpoints save"
    " the work of this job: choose tags that select the runner that has the volume"
)
VOLUME_OLDER = (
    "the workspace's folder on the volume of this runner is outdated: a newer one was used elsewhere. Choose tags that"
    " select the runner that has the newer one"
)
SUPERSEDED_STATE = (
    "an older state was replaced by a newer one from elsewhere: it is in the folder `aside/{}` next to home"
)
CACHE_IS_LOCAL = (
    "its runner stores caches on its own disk only, so a job on another runner would start without the cache: choose"
    " tags that select one runner, or give the runners a shared cache"
)
STUCK = "no runner takes it: {}; GitLab drops it after an hour"
NONE_ONLINE = "none with these tags is online"
"""The reason why no runner takes a job, where the user may not see the runners or one of them would fit."""
