"""Pure decisions: items and settings in, commands out; no clock, no I/O, no chance."""
