"""Drivers of the port `ticket_printer`, one family per file."""
