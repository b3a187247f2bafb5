"""Pages by their vectors."""
