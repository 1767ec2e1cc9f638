"""Drivers of the port `rating_buttons`, one family per file."""
