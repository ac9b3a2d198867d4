"""What happened, kept: the loop takes it down, a thread of its own writes it into a store, reflexctl reads it from there."""
