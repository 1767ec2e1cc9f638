"""Drivers of the port `id_card_reader`, one family per file."""
