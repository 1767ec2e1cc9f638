"""E-licences: issued once a case, printed for their holder alone, verified by anybody."""
