"""The repository map: which files it shows for a question, in which budget, and after an edit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.code.index import CodeIndex
from mainspring.code.repomap import repo_map
from mainspring.code.repomap.known import Known, known
from mainspring.code.repomap.rank import walk
from mainspring.code.repomap.words import asked, mentioned_paths, words
from mainspring.errors import ToolError

FILES = {
    "shop/__init__.py": "",
    "shop/basket.py": "from shop.money import Money\n\n\nclass Basket:\n    def total_price(self):\n"
    "        return Money(sum(self.items))\n",
    "shop/money.py": "class Money:\n    def __init__(self, cents):\n        self.cents = cents\n",
    "shop/mailer.py": "def send_letter(address):\n    return parse_address(address)\n\n\n"
    "def parse_address(text):\n    return text.split('@')\n",
    "shop/unrelated.py": "def paint(colour):\n    return colour\n",
    "tests/test_basket.py": "from shop.basket import Basket\n\n\nclass TestBasket:\n    def test_total(self):\n"
    "        assert Basket().total_price()\n",
    "tests/test_mailer.py": "from shop.mailer import send_letter\n\n\ndef test_send():\n"
    "    assert send_letter('a@b')\n",
}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        file = tmp_path / "repo" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "repo"


@pytest.fixture
def index(repo: Path) -> CodeIndex:
    found = CodeIndex.open(repo)
    found.refresh()
    return found


def test_the_file_that_the_task_names_a_function_of_comes_first(index: CodeIndex) -> None:
    assert repo_map(index, 500, "parse_address loses the domain").files[0] == "shop/mailer.py"
    assert repo_map(index, 500, "wrong total price of a basket").files[0] == "shop/basket.py"


def test_a_path_or_a_module_in_the_task_puts_its_file_first(index: CodeIndex) -> None:
    assert repo_map(index, 500, "see shop/unrelated.py, line 2").files[0] == "shop/unrelated.py"
    assert repo_map(index, 500, "raised by shop.unrelated.paint").files[0] == "shop/unrelated.py"


def test_a_failing_test_leads_to_what_it_uses_and_is_not_shown_itself(index: CodeIndex) -> None:
    for name in (
        "tests/test_basket.py",
        "tests/test_basket.py::TestBasket::test_total",
        "tests.test_basket.TestBasket",
    ):
        found = repo_map(index, 2_000, failing=[name])
        assert found.files[0] == "shop/basket.py"
        assert found.files.index("shop/money.py") < found.files.index("shop/unrelated.py")
        assert "tests/test_basket.py" not in found.files


def test_open_files_are_left_out_and_lead_to_what_they_use(index: CodeIndex) -> None:
    found = repo_map(index, 2_000, open_files=["shop/basket.py"])
    assert found.files[0] == "shop/money.py"
    assert "shop/basket.py" not in found.files


def test_without_a_question_the_file_that_others_depend_on_comes_before_one_that_nobody_uses(index: CodeIndex) -> None:
    found = repo_map(index, 2_000)
    assert found.files.index("shop/money.py") < found.files.index("shop/unrelated.py")
    assert set(found.files) == set(FILES)


def test_the_map_shows_lines_and_signatures_below_the_path(index: CodeIndex) -> None:
    text = repo_map(index, 2_000, "total price").text
    assert "shop/basket.py:\n 4 class Basket\n  5 def total_price(self)\n" in text


@pytest.mark.parametrize("budget", [1, 8, 20, 40, 80, 200])
def test_the_budget_holds_for_any_way_of_counting(index: CodeIndex, budget: int) -> None:
    found = repo_map(index, budget, "basket", count=lambda text: len(text.split()))
    assert len(found.text.split()) <= budget
    assert found.tokens == len(found.text.split())
    more = repo_map(index, budget * 2, "basket", count=lambda text: len(text.split()))
    assert set(found.files) <= set(more.files)


def test_a_budget_that_is_not_positive_is_refused(index: CodeIndex) -> None:
    with pytest.raises(ToolError, match="not 0"):
        repo_map(index, 0)


def test_what_is_not_in_the_index_is_ignored(index: CodeIndex) -> None:
    plain = repo_map(index, 500)
    assert repo_map(index, 500, failing=["no/such.py::test"], open_files=["../outside.py", ""]).files == plain.files


def test_an_empty_folder_has_an_empty_map(tmp_path: Path) -> None:
    index = CodeIndex.open(tmp_path)
    index.refresh()
    found = repo_map(index, 500, "anything", failing=["a.py"])
    assert (found.text, found.files, found.tokens) == ("", (), 0)


def test_an_edit_is_seen_after_an_update(repo: Path, index: CodeIndex) -> None:
    assert repo_map(index, 500, "frobnicate_widget").files[0] != "shop/unrelated.py"
    (repo / "shop/unrelated.py").write_text("def frobnicate_widget():\n    return 1\n")
    index.update(["shop/unrelated.py"])
    found = repo_map(index, 500, "frobnicate_widget")
    assert found.files[0] == "shop/unrelated.py"
    assert "def frobnicate_widget()" in found.text


def test_files_that_come_go_and_come_back(repo: Path, index: CodeIndex) -> None:
    repo_map(index, 500)
    new = repo / "shop/warehouse.py"
    for _ in range(2):
        new.write_text("def stock():\n    return 1\n")
        index.update(["shop/warehouse.py"])
        assert "shop/warehouse.py" in repo_map(index, 2_000, "warehouse").files
        new.unlink()
        index.update(["shop/warehouse.py"])
        assert "shop/warehouse.py" not in repo_map(index, 2_000, "warehouse").files


def test_a_file_that_was_gone_at_the_first_map_is_found_by_its_path_later(repo: Path, index: CodeIndex) -> None:
    (repo / "shop/mailer.py").unlink()
    index.update(["shop/mailer.py"])
    repo_map(index, 500)
    (repo / "shop/mailer.py").write_text("x = 1\n")
    index.update(["shop/mailer.py"])
    assert repo_map(index, 500, "the mailer").files[0] == "shop/mailer.py"


def test_what_is_kept_after_edits_answers_as_what_is_made_anew(repo: Path, index: CodeIndex) -> None:
    repo_map(index, 500, "basket")
    (repo / "shop/money.py").write_text("class Money:\n    def basket_price(self):\n        return self\n")
    index.update(["shop/money.py"])
    after = repo_map(index, 2_000, "price of a basket", ["tests/test_basket.py"])
    fresh = CodeIndex.open(repo)
    fresh.refresh()
    assert repo_map(fresh, 2_000, "price of a basket", ["tests/test_basket.py"]) == after


def _git(repo: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=repo, check=True, capture_output=True)


def test_what_changed_lately_moves_up(repo: Path) -> None:
    (repo / "shop/another.py").write_text(FILES["shop/unrelated.py"])
    _git(repo, "init", "-q")
    _git(repo, "add", "-A")
    _git(repo, "commit", "-qm", "all")
    for number in range(3):
        (repo / "shop/unrelated.py").write_text(f"def paint(colour):\n    return colour, {number}\n")
        _git(repo, "commit", "-qam", "paint")
    index = CodeIndex.open(repo)
    index.refresh()

    def before_its_twin(recent: bool) -> bool:
        files = repo_map(index, 2_000, recent=recent).files
        return files.index("shop/unrelated.py") < files.index("shop/another.py")

    assert before_its_twin(True)
    assert not before_its_twin(False)


def test_a_name_of_a_file_cannot_forge_a_line(tmp_path: Path) -> None:
    (tmp_path / "a\nshop.py").write_text("def f():\n    return 1\n")
    index = CodeIndex.open(tmp_path)
    index.refresh()
    assert not any(line.startswith("shop.py") for line in repo_map(index, 500, "shop").text.splitlines())


def test_the_walk_is_a_distribution_that_stays_near_its_start(index: CodeIndex) -> None:
    graph = index.graph
    kept = known(index)
    start = graph.number("tests/test_basket.py")
    assert start is not None
    reached = walk(graph, kept, {start: 2.0})
    assert 0.5 <= sum(reached.values()) <= 1.0 + 1e-9
    basket, mailer = graph.number("shop/basket.py"), graph.number("shop/mailer.py")
    assert basket is not None
    assert mailer is not None
    assert reached[basket] > reached.get(mailer, 0.0)


def test_rare_words_count_more_than_common_ones(index: CodeIndex) -> None:
    kept = Known()
    kept.sync(index.graph, index.version)
    scores = kept.search(index.graph, {"shop": 1.0, "letter": 1.0})
    best = max(scores, key=lambda file: scores[file])
    assert index.graph.path(best) == "shop/mailer.py"


def test_names_are_cut_into_words_and_common_words_are_dropped() -> None:
    assert words("parseHTTPReply_baskets") == ("parse", "http", "reply", "basket")
    assert set(asked("Fixed the parsing of https://example.org/unrelated baskets")) == {"pars", "basket"}
    assert mentioned_paths("in ./shop/money.py and shop.basket.") == {"shop/money.py", "shop.basket"}


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300), st.lists(st.text(max_size=40), max_size=4))
def test_no_text_breaks_the_map(text: str, names: list[str]) -> None:
    index = _shared()
    found = repo_map(index, 100, text, names, names)
    assert found.tokens <= 100


_INDEX: list[CodeIndex] = []


def _shared() -> CodeIndex:
    if not _INDEX:
        index = CodeIndex.open(Path(__file__).parent)
        index.refresh()
        _INDEX.append(index)
    return _INDEX[0]
