"""Names of people and agents: when two spellings are one person, and which texts look like another one.

Nothing here knows who exists; that is configuration (`mainspring.guard.people`). Every part that compares names does it
through :func:`person_key`, so that one person cannot count twice by writing their name another way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mainspring.errors import ApprovalError

#: Longest name of a person, in characters.
LONGEST = 200
#: Principals that are no people; they never answer for one.
_NOT_PEOPLE = ("agent:", "tool:", "mcp:", "steered:", "made:", "attested:", "skill:", "schedule:")
_NOBODY = frozenset({"mainspring", "system", "model"})
#: Alphabets whose letters can be taken for one another's.
_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_HOST = re.compile(r"(?:[\w.+-]+@)?[\w-]+(?:[.。．｡][\w-]+)+", re.UNICODE)


def person_key(name: str) -> str:
    """The name as it is compared: case, spaces, width, accents' encoding and invisible characters do not count.

    Raises:
        ApprovalError: it is empty, too long, or mixes alphabets that look alike.
    """
    if not isinstance(name, str):
        raise ApprovalError(f"a person's name is text, not {name!r}")
    if len(name) > LONGEST:
        raise ApprovalError(f"the name {name[:40]!r}... has {len(name):,} characters; {LONGEST} are the most")
    shown = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in _INVISIBLE)
    key = unicodedata.normalize("NFKC", " ".join(shown.split()).casefold())
    if not key:
        raise ApprovalError("say who decides: by='NAME'")
    if mixed := mixed_alphabets(key):
        raise ApprovalError(
            f"the name {name!r} mixes {' and '.join(mixed)} letters; write it with those of one alphabet"
        )
    return key


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def spellings(name: str) -> frozenset[str]:
    """A name as it is written and as names are compared; one that is nobody's (``"a person"``) only as it is."""
    try:
        return frozenset({name, person_key(name)})
    except ApprovalError:
        return frozenset({name})


def check_person(name: str) -> str:
    """The name, without spaces around it, of somebody who may be a person.

    Raises:
        ApprovalError: it is no name, or that of an agent, a tool or Mainspring itself.
    """
    key = person_key(name)
    if key.startswith(_NOT_PEOPLE) or key in _NOBODY:
        raise ApprovalError(f"{name.strip()!r} is no person; only people approve, deny, grant and revoke")
    return name.strip()


def mixed_alphabets(text: str) -> list[str]:
    """The alphabets of a word that mixes some which look alike, such as Latin and Cyrillic; else nothing."""
    found = {a for a in (_alphabet(c) for c in text if not c.isascii() or c.isalpha()) if a in _ALIKE}
    return sorted(a.capitalize() for a in found) if len(found) > 1 else []


def lookalikes(text: str) -> list[str]:
    """What a person should know of the words, hosts and addresses in a text before trusting their looks.

    One sentence for each word of mixed alphabets, and each host or address that is written in punycode or with letters
    outside ASCII.
    """
    if text.isascii() and "xn--" not in text.lower():
        return []
    said: dict[str, None] = {}
    for host in _HOST.findall(text):
        for note in _of_host(host):
            said[note] = None
    for word in _WORD.findall(text):
        if not word.isascii() and (mixed := mixed_alphabets(word)):
            said[f"{word!a} mixes {' and '.join(mixed)} letters"] = None
    return list(said)


def _of_host(host: str) -> Iterator[str]:
    name = host.rpartition("@")[2]
    if "xn--" in name.lower():
        try:
            yield f"{host!a} is punycode for {name.encode('ascii', 'ignore').decode('idna')!a}"
        except UnicodeError:
            yield f"{host!a} is punycode that cannot be read"
    if not host.isascii():
        try:
            yield f"{host!a} has letters outside ASCII; its host is {name.encode('idna').decode('ascii')}"
        except UnicodeError:
            yield f"{host!a} has letters outside ASCII and is no valid host"


def _alphabet(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]
