"""A file per driver of actuators: each has Settings and connect()."""
