"""Drivers of the port `document_camera`, one family per file."""
