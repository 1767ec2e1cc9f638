"""Pure engines: questions to a personal list. No input, no output, no clock."""
