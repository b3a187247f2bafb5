"""What can be read on a picture that is a query."""

from __future__ import annotations

from mainspring.errors import ModelError
from mainspring.library.embed.protocol import Picture


def picture_words(picture: Picture) -> str:
    """The words on a picture, "" when there are none or none can be read here.

    A picture without words is a query all the same where a space takes pictures, so it is no error that nothing is
    read; one that cannot be decoded is.

    Raises:
        ToolError: it is no picture that can be decoded.
    """
    from mainspring.library.sight.ocr import read_picture

    try:
        return read_picture(picture.source).text
    except ModelError:
        return ""
