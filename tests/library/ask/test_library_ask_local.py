"""Questions to a small real model: whatever it says, nothing is cited that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring import Library
from mainspring.library.ask import ask_sync
from mainspring.library.ask.quotes import plain
from mainspring.models import resolve

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("question", ["When must the boiler be vented?", "Who is the king of France?"])
def test_a_small_model_cites_only_what_is_there(question: str, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "boiler.md").write_text("The boiler was built in 1987. It must be vented every May.")
    (folder / "tea.md").write_text("Green tea is brewed at 70 degrees.")
    with Library.open(home=tmp_path, embedder="none") as library:
        library.index(folder)
        answer = ask_sync(library, question, resolve("local:0.5b"))
    assert answer.usage.calls >= 1
    assert answer.found is bool(answer.statements)
    for statement in answer.statements:
        assert statement.citations
    for citation in answer.citations:
        text = citation.page.page.text
        assert citation.quote == text[citation.start : citation.end]
        assert plain(citation.quote)[0] in plain(text)[0]
