"""What a long run sends to its model, and what it still knows at the end."""
