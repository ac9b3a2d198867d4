"""/etc/reflexd → validated settings; every message about a configuration lives here."""
