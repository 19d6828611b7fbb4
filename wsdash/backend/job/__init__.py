"""What runs inside every job: `job.sh`, the rendered workload that it sources, and the protocol it speaks."""
