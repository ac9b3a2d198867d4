"""reflexctl, a file per verb; heavy imports belong inside run(), so that --help stays quick."""
