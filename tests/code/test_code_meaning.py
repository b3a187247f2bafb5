"""Places in code found by their meaning, through a library that holds the repository's files."""

from __future__ import annotations

from pathlib import Path

from library_filled import WordsEmbedder
from mainspring import Library
from mainspring.code.index import CodeIndex

FILES = {
    "shop/price.py": "def rebate(total):\n    return total * 0.9\n\n\ndef shipping(weight):\n    return weight * 2\n",
    "shop/mail.py": "def send(letter):\n    return post(letter)\n",
}


def test_a_function_is_found_by_a_word_that_stands_nowhere(workspace: Path, home: Path, tmp_path: Path) -> None:
    for path, text in FILES.items():
        (workspace / path).parent.mkdir(exist_ok=True)
        (workspace / path).write_text(text)
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text("def rebate(total):\n    return 0\n")
    index = CodeIndex.open(workspace, home=home)
    index.refresh()
    with Library.open(home=home, embedder=WordsEmbedder({"discount": "rebate"})) as library:
        library.index([workspace, elsewhere])
        (best, *others) = index.search("discount", library=library)
        assert (best.path, best.line, best.symbol and best.symbol.name) == ("shop/price.py", 1, "rebate")
        assert all(hit.path in FILES for hit in others)  # nothing from outside the repository
        (workspace / "shop/price.py").write_text("")  # the library has not seen that yet
        index.refresh()
        assert all(hit.path != "shop/price.py" for hit in index.search("discount", library=library))
    assert index.search("discount") == ()
