"""What protects tenants' databases, against the real litestream."""
