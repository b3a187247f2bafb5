"""One database in memory."""

import sqlite3

from psycopg import Cursor


class Connection:
    def __init__(self):
        self.inner = sqlite3.connect(":memory:")

    def cursor(self):
        return Cursor(self.inner.cursor())


connection = Connection()
