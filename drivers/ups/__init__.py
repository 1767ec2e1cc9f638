"""Drivers of the port `ups`, one family per file."""
