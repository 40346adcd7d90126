"""Several machines with one atc.yml."""
