"""好差评: ratings, one for each visit, and the call back that a bad one asks for."""
