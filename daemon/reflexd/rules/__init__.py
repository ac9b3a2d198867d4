"""Pure decisions: items and settings in, commands out; no clock, no I/O, no chance.

The same items in the same order, each with the same `now`, always give the same commands, which is
what makes a recording replay to identical decisions.
"""
