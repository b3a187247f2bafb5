"""Escaping."""

from markupsafe import Markup, escape

__all__ = ["conditional_escape", "escape", "format_html"]
conditional_escape = escape


def format_html(template, *args, **kwargs):
    return Markup(template).format(*args, **kwargs)
