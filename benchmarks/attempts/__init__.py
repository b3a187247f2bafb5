"""Verified attempts at bugs in real packages: how many are mended by 1, 4, 8, and what each costs."""
