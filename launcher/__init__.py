"""The command line, the demo's process table, rehearsals. Imported by nobody."""
