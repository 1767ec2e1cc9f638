"""Frozen values of the hall's world. No I/O, no clock, no randomness but for new identifiers."""
