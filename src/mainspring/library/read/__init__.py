"""Files as pages of text with places."""
