"""What makes the machines of a fleet."""
