"""Cedar rules over the facts of a call: the default policy, an agent's own, an organisation's limits."""

from mainspring.guard.cedar.facts import Facts, arguments_of, facts_of, understood, values_of
from mainspring.guard.cedar.rules import Rule, Rules, Verdict, default_rules

__all__ = [
    "Facts",
    "Rule",
    "Rules",
    "Verdict",
    "arguments_of",
    "default_rules",
    "facts_of",
    "understood",
    "values_of",
]
