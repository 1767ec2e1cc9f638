"""Rehearsals: the hall under faults, long, many, and with nonsense on every wire.

A rehearsal is a module with `HELP` and `async def run(plan, record)`; docs/how-to/rehearse.md.
"""
