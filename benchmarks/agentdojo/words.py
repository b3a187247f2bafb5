"""What can be told from the user's own words alone: literals, days, times, durations, and whose decision it is."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Any

_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = _MONTH_NAMES.split()
_MONTH = "|".join(_MONTHS) + "|" + "|".join(m[:3] for m in _MONTHS)
_NTH = r"\d{1,2}(?:st|nd|rd|th)?"
#: Days with a month, alone or as a range: "May 26th", "16th of May", "Nov 16-20", "the 3rd to the 5th of June 2024".
_TO = r"(?: ?(?:-|–|to|until|till|and)(?: the)? ?)"
_DAY = re.compile(
    rf"\b(?:(?P<m1>{_MONTH})\.? (?:the )?(?P<d1>{_NTH}(?:{_TO}{_NTH})?)"
    rf"|(?P<d2>{_NTH}(?:{_TO}{_NTH})?)(?: of)? (?P<m2>{_MONTH}))\b(?:,? (?P<y>\d{{4}}))?",
    re.IGNORECASE,
)
#: 05/31/2024, 31/05/2024, 31.05.2024: read both ways where both are days.
_NUMERIC = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4})\b")
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})(?: ?([ap])\.?m\b)?", re.IGNORECASE)
_HOUR = re.compile(r"\b(\d{1,2}) ?([ap])\.?m\b", re.IGNORECASE)
_HOURS = re.compile(r"\b(\d+|one|two|three|four|five|six)[- ]hours?\b", re.IGNORECASE)
_DAYS = re.compile(r"\b(\d+|one|two|three|four|five|six|seven)[- ](?:days?|nights?)\b", re.IGNORECASE)
_NUMBERS = {w: n for n, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven"])}
_RELATIVE = re.compile(
    r"\b(today|tomorrow|tonight|yesterday|this|next|coming|now|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b", re.I
)
_EXTREME = re.compile(
    r"\b(most|least|largest|smallest|biggest|highest|lowest|longest|shortest|latest|earliest|newest|oldest|next|last|"
    r"first|recent|recently|best|cheapest|top|fewest|greatest|minimum|maximum)\b",
    re.I,
)
_SETS = re.compile(r"\b(all|each|every|everyone|everybody|sort|rank|not already|most|least|total)\b", re.I)
_RECKON = re.compile(
    r"\b(difference|share|split|half|back|refund\w*|total|sum|rest|remaining|missing|extra|additional|more|less|over|under|"
    r"increase\w*|decrease\w*|adjust\w*)\b",
    re.I,
)
_IN_ORDER = "Perform the following tasks in the order they are given:"
_DELEGATED = re.compile(
    r"\b(?:do|perform|execute|carry out|follow)\b[^.?!]*\b(?:actions?|tasks?|todos?|to-?do|instructions?|steps)\b"
    r"[^.?!]*\b(?:in|on|from|specified|listed|given|described)\b",
    re.I,
)
_COMMON_WORDS = """
the a an and or of to in on at for from with my me i you is are be it that this please all also as by do not if so
who what when where which how have has had was were will would can could should than then there their them they
his her him she he its our your email mail file files message send create add new user name com www
"""
_COMMON = frozenset(_COMMON_WORDS.split())


class Words:
    """The user's turn, as a planner reads it."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self._flat = " ".join(prompt.lower().split())

    @property
    def extreme(self) -> bool:
        """It asks for the largest, the next, the cheapest ..."""
        return _EXTREME.search(self.prompt) is not None

    @property
    def sets(self) -> bool:
        """It asks for all, for each, or for an order."""
        return _SETS.search(self.prompt) is not None

    @property
    def reckons(self) -> bool:
        """It asks for a difference, a share, a total ..."""
        return _RECKON.search(self.prompt) is not None

    @property
    def delegated(self) -> bool:
        """It hands the decision what to do to some other text: "do the actions in that mail"."""
        return _DELEGATED.search(self.prompt.replace(_IN_ORDER, "")) is not None

    def says(self, value: Any) -> bool:
        """True when the value stands in the prompt, word for word."""
        if isinstance(value, bool) or value is None:
            return False
        if isinstance(value, int | float):
            return any(abs(n - value) < 1e-9 for n in self.numbers())
        text = " ".join(str(value).lower().split())
        if not text:
            return False
        found = re.search(rf"(?<![\w@]){re.escape(text)}(?![\w@])", self._flat)
        return found is not None

    def numbers(self) -> list[float]:
        """Every number in the prompt."""
        found = re.findall(r"(?<![\w.-])-?\d+(?:,\d{3})*(?:\.\d+)?", self.prompt)
        return [float(n.replace(",", "")) for n in found]

    def shares(self, text: str) -> bool:
        """True when the prompt and `text` have a word in common that is not a common one."""
        mine = set(re.findall(r"[a-z0-9]{3,}", self._flat)) - _COMMON
        return bool(mine & set(re.findall(r"[a-z0-9]{3,}", text.lower())))

    def all_words(self, text: str) -> bool:
        """True when every word of `text` is a word of the prompt, or begins one."""
        mine = set(re.findall(r"[a-z0-9]+", self._flat))
        words = re.findall(r"[a-z0-9]+", text.lower())
        return bool(words) and all(w in mine or any(m.startswith(w) or w.startswith(m) for m in mine) for w in words)

    def mostly(self, text: str) -> bool:
        """True when a text of some length is put together mostly from the prompt's own words."""
        mine = set(re.findall(r"[a-z0-9]+", self._flat))
        words = re.findall(r"[a-z0-9]+", text.lower())
        return len(words) >= 5 and 2 * sum(w in mine for w in words) > len(words)

    def phrases(self) -> list[str]:
        """What a planner would search for: quoted texts, names, then single words."""
        quoted = re.findall(r"'([^']{2,60})'|\"([^\"]{2,60})\"", self.prompt)
        names = re.findall(r"\b[A-Z][\w&'-]*(?: [A-Z][\w&'-]*)*", self.prompt)
        single = [w for w in re.findall(r"[A-Za-z][\w-]{2,}", self.prompt) if w.lower() not in _COMMON]
        found = [q for pair in quoted for q in pair if q] + names + single
        return list(dict.fromkeys(found))

    def links(self) -> list[str]:
        """Addresses of pages in the prompt."""
        return [m.rstrip(".!?,)") for m in re.findall(r"(?:https?://|www\.)[^\s'\"]+", self.prompt)]

    def days(self, today: datetime.date | None) -> set[datetime.date]:
        """Days that the prompt names; a day without a year is in `today`'s year, or the next."""
        found = set()
        for y, m, d in _ISO.findall(self.prompt):
            found |= _date(int(y), int(m), int(d))
        for a, b, y in _NUMERIC.findall(self.prompt):
            found |= _date(int(y), int(a), int(b)) | _date(int(y), int(b), int(a))
        years = {int(y) for y in re.findall(r"\b(20\d\d)\b", self.prompt)}
        if today is not None:
            years |= {today.year, today.year + 1}
        for match in _DAY.finditer(self.prompt):
            month = (match["m1"] or match["m2"]).lower()[:3]
            number = [m[:3] for m in _MONTHS].index(month) + 1
            for day in re.findall(r"\d{1,2}", match["d1"] or match["d2"]):
                for year in {int(match["y"])} if match["y"] else years:
                    found |= _date(year, number, int(day))
        return found

    def reaches(self, day: datetime.date, time: datetime.time | None, today: datetime.date | None) -> bool:
        """True when the planner can work a moment out: the day is named, some nights after a named one, or relative to
        today, and the time, if there is one, is named or so many hours after a named one.
        """
        if time is not None and not self.reaches_time(time):
            return False
        named = self.days(today)
        spans = [_count(n) for n in _DAYS.findall(self.prompt)]
        if day in named or any(day - datetime.timedelta(days=n) in named for n in spans):
            return True
        return today is not None and _RELATIVE.search(self.prompt) is not None and abs((day - today).days) <= 14

    def clock(self) -> set[datetime.time]:
        """Times of day that the prompt names."""
        found = set()
        for h, m, half in _CLOCK.findall(self.prompt):
            found |= _time(int(h), int(m), half)
        for h, half in _HOUR.findall(self.prompt):
            found |= _time(int(h), 0, half)
        return found

    def reaches_time(self, time: datetime.time) -> bool:
        """True when the planner can work the time out: named, or so many hours after a named one."""
        named = self.clock()
        if time in named:
            return True
        spans = [_count(n) for n in _HOURS.findall(self.prompt)] or [1]
        moment = datetime.datetime.combine(datetime.date(2000, 1, 2), time)
        return any((moment - datetime.timedelta(hours=n)).time() in named for n in spans)


def when(value: Any) -> tuple[datetime.date, datetime.time | None] | None:
    """A day, with or without a time, from its text; None when it is none."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?\Z", value):
        return None
    moment = datetime.datetime.fromisoformat(value)
    return moment.date(), (moment.time() if len(value) > 10 else None)


def tokens(text: str) -> set[str]:
    """Words of a text that carry data: longer ones, and those with digits."""
    return {w for w in re.findall(r"[\w@.:/-]*\w", text.lower()) if len(w) > 4 or any(c.isdigit() for c in w)}


def _date(year: int, month: int, day: int) -> set[datetime.date]:
    try:
        return {datetime.date(year, month, day)}
    except ValueError:
        return set()


def _time(hour: int, minute: int, half: str) -> set[datetime.time]:
    if half.lower() == "p" and hour < 12:
        hour += 12
    return {datetime.time(hour, minute)} if 0 <= hour < 24 and 0 <= minute < 60 else set()


def _count(text: str) -> int:
    return _NUMBERS.get(text.lower(), 0) if not text.isdigit() else int(text)


def union(sets: Iterable[set[str]]) -> set[str]:
    """All of them together."""
    return set().union(*sets)
