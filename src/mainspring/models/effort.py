"""How much thinking to spend on the next call when an agent says `effort="auto"`."""

from __future__ import annotations

_LEVELS = ("low", "medium", "high")


def choose_effort(requested: str, failures_in_a_row: int, thinks: bool = True) -> tuple[str, str]:
    """The effort of the next model call, and why, for the journal.

    ``"auto"`` starts low, rises one level with each failed check or retry in a row up to high, and falls back
    as soon as something succeeds. Any other request is granted as it is.

    Args:
        requested: the agent's effort: ``"auto"``, ``"none"``, ``"low"``, ``"medium"`` or ``"high"``.
        failures_in_a_row: failed checks and retries since the last success.
        thinks: False for a model that has no thinking to set.
    """
    if requested != "auto":
        return requested, "set by the agent"
    if not thinks:
        return "none", "the model has no thinking to set"
    failures = max(0, failures_in_a_row)
    if failures == 0:
        return _LEVELS[0], "nothing failed so far"
    level = _LEVELS[min(failures, len(_LEVELS) - 1)]
    return level, f"{failures} failed {'try' if failures == 1 else 'tries'} in a row"
