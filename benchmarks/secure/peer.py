"""bandit alone, on the whole files in Python: its own answers, judged by the same rule."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.secure.snippets import Snippet

#: Tests whose own class is a broad one: what they are about, so that bandit loses nothing by a label.
MEANT = {
    "B102": "CWE-95",
    "B201": "CWE-489",
    "B301": "CWE-502",
    "B302": "CWE-502",
    "B307": "CWE-95",
    "B310": "CWE-918",
    "B314": "CWE-611",
    "B317": "CWE-611",
    "B320": "CWE-611",
    "B405": "CWE-611",
    "B406": "CWE-611",
    "B410": "CWE-611",
    "B506": "CWE-502",
    "B507": "CWE-295",
    "B701": "CWE-79",
    "B702": "CWE-79",
    "B703": "CWE-79",
    "B704": "CWE-79",
}


def comparable(snippet: Snippet) -> bool:
    """Whether bandit can be asked: whole files in Python."""
    return snippet.language == "Python" and snippet.before is None


def ask(snippets: Sequence[Snippet], scratch: Path) -> dict[str, Any]:
    """Its recall and false alarms, at any severity and from medium on.

    Raises:
        RuntimeError: bandit did not answer.
    """
    chosen = [one for one in snippets if comparable(one)]
    for one in chosen:
        for kind, text in (("bad", one.bad), ("good", one.good)):
            file = scratch / one.name / kind / one.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    command = [sys.executable, "-m", "bandit", "-q", "-f", "json", "-r", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        issues = json.loads(done.stdout)["results"]
    except ValueError as error:
        raise RuntimeError(f"bandit did not answer: {done.stderr[-500:]}") from error
    by_side: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for issue in issues:
        name, kind = Path(issue["filename"]).relative_to(scratch).parts[:2]
        by_side.setdefault((name, kind), []).append(issue)
    return {
        "snippets": len(chosen),
        "any": _rates(chosen, by_side, ("LOW", "MEDIUM", "HIGH")),
        "medium": _rates(chosen, by_side, ("MEDIUM", "HIGH")),
    }


def _rates(
    chosen: Sequence[Snippet], issues: dict[tuple[str, str], list[dict[str, Any]]], levels: tuple[str, ...]
) -> dict[str, float]:
    def of(one: Snippet, kind: str) -> list[dict[str, Any]]:
        return [issue for issue in issues.get((one.name, kind), []) if issue["issue_severity"] in levels]

    found = sum(any(_is_of(issue, one) for issue in of(one, "bad")) for one in chosen)
    alarms = sum(bool(of(one, "good")) for one in chosen)
    own = sum(any(_is_of(issue, one) for issue in of(one, "good")) for one in chosen)
    total = max(1, len(chosen))
    return {
        "recall": found / total,
        "false_alarm_rate": alarms / total,
        "own_class_false_alarm_rate": own / total,
    }


def _is_of(issue: dict[str, Any], snippet: Snippet) -> bool:
    named = {f"CWE-{issue.get('issue_cwe', {}).get('id')}", MEANT.get(issue["test_id"])}
    return bool(named & snippet.relatives)
