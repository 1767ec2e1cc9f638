"""Words for people, readings of names, everyday and dialect terms. Data first, little code."""
