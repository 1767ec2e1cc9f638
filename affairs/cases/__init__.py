"""Cases: drafts, submission, instant approval, windows, progress, what is held."""
