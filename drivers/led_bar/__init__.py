"""Drivers of the port `led_bar`, one family per file."""
