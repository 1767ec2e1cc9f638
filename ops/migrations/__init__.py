"""Schema versions of the centre's database, run at start."""
