"""Documents, pages and words."""
