"""psycopg over a file of SQLite."""

import sqlite3


class Cursor:
    def __init__(self, inner):
        self.inner = inner

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.inner.close()

    def execute(self, query, values=()):
        self.inner.execute(query.replace("%s", "?") if values else query, tuple(values))
        return self

    def fetchall(self):
        return self.inner.fetchall()


class Connection:
    def __init__(self, name):
        self.inner = sqlite3.connect(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.inner.commit()
        self.inner.close()

    def cursor(self):
        return Cursor(self.inner.cursor())


def connect(name):
    return Connection(name)
