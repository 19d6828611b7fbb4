"""Access to jobs that only have outgoing connections: a job connects to the relay here and keeps a reverse tunnel."""
