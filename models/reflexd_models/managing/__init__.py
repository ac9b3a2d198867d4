"""Examine, fetch, check and install networks: what reflexctl does beside the daemon, which imports none of it."""
