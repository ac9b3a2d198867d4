"""A file per driver of cameras: each has Settings and connect()."""
