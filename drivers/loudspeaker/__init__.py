"""Drivers of the port `loudspeaker`, one family per file."""
