"""reflexd: cameras and sensors through a network and rules to outputs, in one process."""

__version__ = "0.1.0"
