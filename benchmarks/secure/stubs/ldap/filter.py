"""Escaping as RFC 4515 has it."""


def escape_filter_chars(value):
    return "".join(f"\\{ord(c):02x}" if c in "\\*()\0" else c for c in value)
