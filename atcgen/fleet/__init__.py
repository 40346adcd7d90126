"""What machines that share one atc.yml tell each other, by way of a store."""
