"""Schema versions of the node's database, run at start."""
