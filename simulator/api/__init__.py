"""The Machines API: at a port of the loopback interface with a token, and at a socket of each machine without."""
