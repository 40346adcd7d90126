"""`python -m atcgen` is `atc`."""

from atcgen.cli import main

main()
