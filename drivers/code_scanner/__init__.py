"""Drivers of the port `code_scanner`, one family per file."""
