"""Peripherals of this machine: their life, the print queue, the card watch."""
