"""Effects, one module per outside program: nothing here decides, nothing elsewhere touches the machine."""
