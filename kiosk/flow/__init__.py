"""Pure: what a visit is, what follows from a tap, and what stands on the screen."""
