"""Drivers of the port `page_printer`, one family per file."""
