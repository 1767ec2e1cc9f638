"""Drivers of chip card readers."""
