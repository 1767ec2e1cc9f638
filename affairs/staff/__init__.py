"""Pages for the hall's people: who they are, what they may do, windows, the whole hall."""
