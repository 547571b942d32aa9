"""PostgreSQL as this console uses it."""
