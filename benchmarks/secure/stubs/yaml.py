"""JSON stands in for YAML; `unsafe` lists the loads that could have built any object."""

import json

unsafe = []


class SafeLoader:
    pass


CSafeLoader = SafeLoader


class Loader:
    pass


class FullLoader(Loader):
    pass


UnsafeLoader = Loader


def load(stream, Loader):
    if not issubclass(Loader, SafeLoader):
        unsafe.append(Loader)
    return json.loads(stream if isinstance(stream, (str, bytes)) else stream.read())


def safe_load(stream):
    return load(stream, SafeLoader)
