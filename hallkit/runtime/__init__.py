"""How a process of the hall lives: configuration, clock, logging, local bus, journal, life cycle."""
