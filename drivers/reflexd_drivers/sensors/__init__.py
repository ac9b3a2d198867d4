"""A file per driver of sensors: each has Settings and connect()."""
