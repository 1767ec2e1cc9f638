"""Drivers of the port `key_panel`, one family per file."""
