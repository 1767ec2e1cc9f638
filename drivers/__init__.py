"""Adapters from real devices to the ports of hallkit. One device family per file."""
