"""One collection that knows equality and $ne."""


class Collection:
    def __init__(self):
        self.rows = []

    def find_one(self, query):
        return next((row for row in self.rows if all(_fits(row.get(k), v) for k, v in query.items())), None)


def _fits(value, wanted):
    if isinstance(wanted, dict):
        return all(value != other if word == "$ne" else value == other for word, other in wanted.items())
    return value == wanted


class MongoClient:
    def __getattr__(self, name):
        return Collection() if name == "users" else self
