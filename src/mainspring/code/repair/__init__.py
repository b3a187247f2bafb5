"""Mending code until its own tests pass, with a model that may be weak."""
