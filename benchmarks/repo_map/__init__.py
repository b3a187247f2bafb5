"""Whether the map of a repository shows the files that a known change touched, within a token budget."""
