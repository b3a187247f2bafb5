"""Markup that is not escaped again."""

import html


class Markup(str):
    def __html__(self):
        return self

    def format(self, *args, **kwargs):
        return Markup(str.format(self, *map(escape, args), **{k: escape(v) for k, v in kwargs.items()}))

    def __mod__(self, args):
        args = args if isinstance(args, tuple) else (args,)
        return Markup(str.__mod__(self, tuple(map(escape, args))))


def escape(value):
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))
