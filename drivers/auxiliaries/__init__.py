"""Drivers of the port `auxiliaries`, one family per file."""
