"""What is done with sound before somebody hears it or understands it: levels, echoes."""
