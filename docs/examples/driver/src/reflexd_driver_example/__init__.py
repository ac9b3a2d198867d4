"""Drivers for reflexd, as somebody else would write them."""
