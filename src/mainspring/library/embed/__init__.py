"""Vectors from text and pictures."""
