"""Which language a text is in: by its script, and for Latin letters by its commonest words.

Simple on purpose: it has to tell pages and questions apart, costs microseconds, and says "" where it cannot know.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

_LOOKED_AT = 6_000  # characters: a page's first ones say enough
#: So many different common words tell a language: one alone ("com", "os", "sobre") may be a name or an address.
_DIFFERENT = 2
#: And at least one word in so many is one of them: less is chance.
_SHARE = 50

#: Scripts that one language stands for, and how much of a text in it one character carries against a Latin letter.
_SCRIPTS: dict[str, tuple[str, float]] = {
    "kana": ("\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d", 2.5),
    "han": ("\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af", 2.5),
    "ko": ("\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f", 2.5),
    "latin": ("A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ", 1.0),
    "cyrillic": ("Ѐ-ӿ", 1.0),
    "arabic": ("ء-يٮ-ۓ", 1.0),
    "hi": ("ऀ-ॿ", 1.0),
    "th": ("ก-๛", 1.0),
    "el": ("Ͱ-Ͽἀ-῿", 1.0),
    "he": ("א-ת", 1.0),
    "bn": ("ঀ-৿", 1.0),
    "pa": ("਀-੿", 1.0),
    "gu": ("઀-૿", 1.0),
    "ta": ("஀-௿", 1.0),
    "te": ("ఀ-౿", 1.0),
    "kn": ("ಀ-೿", 1.0),
    "ml": ("ഀ-ൿ", 1.0),
    "si": ("඀-෿", 1.0),
    "lo": ("຀-໿", 1.0),
    "my": ("က-႟", 1.0),
    "ka": ("Ⴀ-ჿ", 1.0),
    "am": ("ሀ-፿", 1.0),
    "hy": ("԰-֏", 1.0),
    "km": ("ក-៿", 1.0),
}

_COMMON: dict[str, str] = {
    "en": "a no the of and to in is that for it with as was on are by this be at from or an have not which how what "
    "why when where who does do did can has been its their you your my we our would should there many much if "
    "will these than",
    "de": "der die und das ist nicht ein eine den mit sich des auf dem von zu für im wie was warum wer wo wann wird "
    "sind auch als an bei oder nach einer einem kann man ich wir aus welche welcher wurde werden über zum zur",
    "fr": "le la les et des est une un du que dans qui pour pas sur au avec ce il sont par plus comment quel quelle "
    "pourquoi quand où combien je nous vous ne se sa son aux cette ces été être quels quelles peut ou mais",
    "es": "el la los las y de que en un una es por con para del se no su al lo como cómo qué cuál cuáles dónde "
    "cuándo cuánto quién más pero sus le ha son está fue puede este esta entre hay yo mi muy desde sobre",
    "pt": "o a os as e de que em um uma é por com para do da dos das não se na no ao como qual quais onde quando "
    "quanto quem mais mas seu sua são foi pode este esta entre há eu meu muito você também pelo pela ou "
    "porque",
    "it": "il lo la gli le di che e un una è per con del della dei delle non si nel nella al come quale quali dove "
    "quando quanto chi perché più ma sono è stato può questo questa tra ho io mio molto anche dal alla cosa",
    "nl": "de het een en van is dat in op te niet met voor zijn die aan er om als bij ook wat hoe waarom waar "
    "wanneer wie welke naar door over kan worden wordt werd uit ik wij je nog maar deze dit",
    "pl": "w i na z jest nie się do to że co jak jaki jakie dlaczego gdzie kiedy kto o od po dla przez są ale oraz "
    "był może czy ten ta które który ile",
    "tr": "ve bir bu da de için ile ne nasıl neden nerede ne zaman kim mi mı mu daha çok olarak olan gibi kadar var "
    "değil en her hangi ama sonra",
    "vi": "và của là có không được cho một các trong với những này đã khi như thế nào tại sao ở đâu bao nhiêu ai gì "
    "người để từ đến về",
    "id": "yang dan di ini itu dengan untuk dari pada adalah tidak dalam akan bagaimana apa mengapa kapan siapa "
    "berapa oleh juga atau ke sebagai dapat ada",
    "sv": "och att det som en på är av för med den till inte om ett jag hur vad varför när vem vilken vilka kan har "
    "var från eller men så sig",
}
_OF_ARABIC = (("ur", "ٹڈڑںے"), ("fa", "پچژگ"))
_OF_CYRILLIC = (("uk", "іїєґ"),)
_LATIN_WORD = re.compile(r"[^\W\d_]+")


@cache
def _patterns() -> dict[str, tuple[re.Pattern[str], float]]:
    return {name: (re.compile(f"[{ranges}]"), weight) for name, (ranges, weight) in _SCRIPTS.items()}


@cache
def _languages_of_words() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for language, words in _COMMON.items():
        for word in set(words.split()):
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}


def language_of(text: str) -> str:
    """The ISO 639-1 code of the language that most of `text` is in, or "" when it does not show.

    Words in Latin letters with fewer than two different common ones, such as a name, a menu or a term, are "".
    """
    return _described(text)[0]


def script_of(text: str) -> str:
    """The script that most of `text` is in: ``latin``, ``han``, ``cyrillic`` ..., a language's code, or ""."""
    return _described(text)[1]


def _described(text: str) -> tuple[str, str]:
    """Language and script."""
    text = text[:_LOOKED_AT]
    if text.isascii():
        return (_latin(text), "latin") if any(char.isalpha() for char in text) else ("", "")
    found = {name: len(pattern.findall(text)) * weight for name, (pattern, weight) in _patterns().items()}
    eastern = found["kana"] + found["han"]
    found["han"], kana = eastern, found.pop("kana")
    script = max(found, key=lambda name: found[name])
    if not found[script]:
        return "", ""
    if script == "han":
        return ("ja" if kana * 10 >= eastern else "zh"), script
    if script == "latin":
        return _latin(text), script
    if script == "cyrillic":
        return _told_apart(text, _OF_CYRILLIC, "ru"), script
    if script == "arabic":
        return _told_apart(text, _OF_ARABIC, "ar"), script
    return script, script


def _told_apart(text: str, letters: tuple[tuple[str, str], ...], otherwise: str) -> str:
    """The language whose own letters make up at least one in a hundred of `text`."""
    for language, own in letters:
        if sum(text.lower().count(letter) for letter in own) * 100 >= len(text):
            return language
    return otherwise


def _latin(text: str) -> str:
    by_word = _languages_of_words()
    score: Counter[str] = Counter()
    different: Counter[str] = Counter()
    words = Counter(_LATIN_WORD.findall(text.lower()))
    for word, times in words.items():
        languages = by_word.get(word, ())
        for language in languages:
            score[language] += times / len(languages)  # type: ignore[assignment]  # a Counter adds fractions as well
            different[language] += 1
    best = score.most_common(2)
    if not best or (len(best) == 2 and best[0][1] == best[1][1]):
        return ""
    language, found = best[0]
    return language if different[language] >= _DIFFERENT and found * _SHARE >= words.total() else ""
