"""The networks that ship, one bundle per folder; each was made by a script in models/training."""
