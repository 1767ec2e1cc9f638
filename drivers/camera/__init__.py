"""Drivers of the port `camera`, one family per file."""
