"""Attacks on whole runs: a planner that obeys the first stranger's text it is shown, and a judge of what it did."""
