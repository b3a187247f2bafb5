"""The snippets: each a vulnerable file, a clean twin that does the same job, and for Python a functional test.

They look as code of web programs, tools and services does, and were written without a look at the scanner's rules.
"""

from __future__ import annotations

import hashlib
import importlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "snippets"

#: What counts as having found a class: scanners name near relatives of it.
RELATIVES: dict[str, frozenset[str]] = {
    name: frozenset(f"CWE-{number}" for number in numbers)
    for name, numbers in {
        "CWE-22": (22, 23, 36, 73),
        "CWE-78": (77, 78, 88),
        "CWE-79": (79, 80, 116),
        "CWE-89": (89, 564),
        "CWE-90": (90,),
        "CWE-95": (94, 95),
        "CWE-120": (119, 120, 121, 787),
        "CWE-134": (134,),
        "CWE-208": (203, 208),
        "CWE-295": (295, 297, 322),
        "CWE-327": (326, 327, 328, 916),
        "CWE-330": (330, 331, 335, 338, 340),
        "CWE-347": (345, 347),
        "CWE-377": (367, 377, 378, 379),
        "CWE-409": (400, 409, 770),
        "CWE-416": (415, 416, 825),
        "CWE-489": (94, 215, 489),
        "CWE-502": (502,),
        "CWE-601": (601,),
        "CWE-611": (611, 827),
        "CWE-614": (614, 1004),
        "CWE-732": (276, 284, 732),
        "CWE-798": (259, 312, 321, 798),
        "CWE-862": (284, 285, 306, 862),
        "CWE-918": (918,),
        "CWE-943": (943,),
        "CWE-1333": (400, 730, 1333),
        "CWE-1336": (94, 1336),
    }.items()
}

LANGUAGES = {
    ".py": "Python",
    ".js": "JavaScript",
    ".ts": "TypeScript",
    ".go": "Go",
    ".java": "Java",
    ".c": "C",
    ".rs": "Rust",
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """One pair.

    Args:
        name: of its folder.
        cwe: the class of its fault.
        path: the file's path in the project that it is shown in.
        bad, good: the vulnerable file and its clean twin.
        before: what the file was, where the snippet is a change; None where it is a whole file.
        test: Python with ``works(app)`` and, for most, ``attack(app)``; None for other languages.
        needs: ``MODULE.NAME`` that the interpreter must have for the test to mean anything.
    """

    name: str
    cwe: str
    path: str
    bad: str = field(repr=False)
    good: str = field(repr=False)
    before: str | None = field(default=None, repr=False)
    test: str | None = field(default=None, repr=False)
    needs: str = ""

    @property
    def language(self) -> str:
        """Such as ``"Python"``."""
        return LANGUAGES[Path(self.path).suffix]

    @property
    def half(self) -> str:
        """``"seen"`` or ``"held_out"``, by the name's SHA-256: nobody chooses."""
        return "seen" if hashlib.sha256(self.name.encode()).digest()[0] % 2 else "held_out"

    @property
    def relatives(self) -> frozenset[str]:
        """The classes that count as its own."""
        return RELATIVES[self.cwe]

    @property
    def testable(self) -> bool:
        """Whether there is a functional test that this interpreter can run."""
        if self.test is None:
            return False
        module, _, name = self.needs.rpartition(".")
        return not module or hasattr(importlib.import_module(module), name)


def load(folder: Path = FOLDER) -> list[Snippet]:
    """All snippets, by name.

    Raises:
        FileNotFoundError: a snippet lacks its vulnerable file or its twin.
    """
    return [_load(one.parent) for one in sorted(folder.glob("*/meta.toml"))]


def _load(folder: Path) -> Snippet:
    meta = tomllib.loads((folder / "meta.toml").read_text())
    suffix = Path(meta["path"]).suffix
    texts = {kind: folder / f"{kind}{suffix}.txt" for kind in ("before", "bad", "good", "test")}
    before = texts["before"].read_text() if texts["before"].exists() else None
    test = texts["test"].read_text() if texts["test"].exists() else None
    bad, good = (_with_secrets(texts[kind].read_text()) for kind in ("bad", "good"))
    return Snippet(folder.name, meta["cwe"], meta["path"], bad, good, before, test, meta.get("needs", ""))


def _with_secrets(text: str) -> str:
    # Made up, yet well formed; put together here so that no file of the repository holds one.
    for name, parts in {
        "aws_key": ("AK", "IA", "Q3EG7XZ5", "LMN2WPTV"),
        "aws_secret": ("h7Kd0Pz", "/Lq3vTn8", "xYw2Rb5J", "mC4uSe6Ga1", "fHo9iU+B"),
        "password": ("vT9", "!kQ2", "m#Xw7"),
    }.items():
        text = text.replace("{{" + name + "}}", "".join(parts))
    return text
