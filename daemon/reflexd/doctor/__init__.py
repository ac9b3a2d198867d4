"""reflexctl doctor: what is wrong around the daemon. A file per topic; each check looks, and changes nothing."""
