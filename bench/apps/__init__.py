"""The applications that tenants run while something is measured."""
