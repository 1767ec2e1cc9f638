"""Authored items, one theme a file. `docs/how-to/add-an-item.md` says how to write one."""
