"""Drivers of the port `microphone`, one family per file."""
