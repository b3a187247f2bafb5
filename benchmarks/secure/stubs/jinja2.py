"""As much of jinja2 as the snippets use: expressions in double braces, with or without escaping."""

import re

from markupsafe import escape

HOLE = re.compile(r"\{\{(.*?)\}\}")


class Template:
    def __init__(self, source, autoescape=False):
        self.source, self.autoescape = source, autoescape

    def render(self, **values):
        def fill(match):
            value = eval(match.group(1).strip(), {"__builtins__": {}}, values)
            return str(escape(value)) if self.autoescape else str(value)

        return HOLE.sub(fill, self.source)


class DictLoader(dict):
    pass


def select_autoescape(*_, **__):
    return True


class Environment:
    def __init__(self, loader=None, autoescape=False, **_):
        self.loader, self.autoescape = loader, bool(autoescape)

    def get_template(self, name):
        return self.from_string(self.loader[name])

    def from_string(self, source):
        return Template(source, self.autoescape)
