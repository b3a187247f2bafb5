"""Rules for Python: a small taint analysis within each function, and bandit for what it does precisely."""
