"""What the functional tests of several snippets need."""


def text(answer):
    """The body of whatever a view returned."""
    body = getattr(answer, "body", answer)
    return body.decode() if isinstance(body, bytes) else str(body)
