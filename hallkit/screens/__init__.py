"""The look of every screen: tokens, controls, sizes, the bus client of a screen process."""
