"""What stands in for others in a demo, a test or a rehearsal; each is a process of its own."""
