"""The HTTP contract's routes, one room a file; `affairs.api` puts them together."""
