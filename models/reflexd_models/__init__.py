"""What knows tensors: runtimes, bundles, resampling and the tasks; base.py has their contracts."""
