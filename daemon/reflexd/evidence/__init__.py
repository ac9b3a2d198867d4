"""What was seen before and after a rule fired: frames from a ring in memory, and what was decided on, as a folder on the disk."""
