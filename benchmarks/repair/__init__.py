"""Mending bugs in real packages with a small model: a bare loop against the repair harness."""
