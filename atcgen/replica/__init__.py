"""What keeps databases from being lost: who owns those of a tenant, and where their replica is."""
