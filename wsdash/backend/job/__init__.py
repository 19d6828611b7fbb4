"""The part of wsdash that runs inside every job: `job.sh`, the rendered workload that it sources, and its
protocol.
"""
