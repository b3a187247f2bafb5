"""Embedders by their names."""

from __future__ import annotations

import pytest

from mainspring.errors import ModelError
from mainspring.library.embed import open_embedder


def test_the_look_of_pictures_has_a_name() -> None:
    assert open_embedder("look").space.documents == {"image"}


@pytest.mark.parametrize("name", ["look", "e5", "default"])
def test_an_embedded_one_takes_no_options(name: str) -> None:
    with pytest.raises(ModelError, match=f"'{name}' takes no options, and was given revision"):
        open_embedder(name, revision="1")


def test_an_option_reaches_the_engine_and_a_wrong_one_is_told() -> None:
    opened = open_embedder("openai:http://127.0.0.1:9/v1#m", revision="mine", dimensions=4)
    opened.close()
    with pytest.raises(ModelError, match="colour"):
        open_embedder("openai:http://127.0.0.1:9/v1#m", colour="red")


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ModelError, match="'e6' is no encoder"):
        open_embedder("e6")
