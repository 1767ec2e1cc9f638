"""Wire-level twins of devices, each startable as a process. Never imported by runtime code."""
