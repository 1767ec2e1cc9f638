"""What the hall needs of the world outside, one Protocol per file."""
