"""Tokens of the form NAME.KEY."""


class InvalidSignatureError(Exception):
    pass


def decode(token, key="", algorithms=None, options=None):
    name, _, signature = token.partition(".")
    if (options or {}).get("verify_signature", True) and signature != key:
        raise InvalidSignatureError(token)
    return {"sub": name}
