"""How a process of the hall lives: settings, clock, log, local bus, journal, life cycle."""
