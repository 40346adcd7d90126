"""atc: many tenants of one web application, woken by a request, asleep when idle."""

__version__ = "0.1.0"
