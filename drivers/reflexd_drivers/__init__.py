"""What knows hardware: cameras, sensors and actuators, a file per driver; base.py has their contracts."""
