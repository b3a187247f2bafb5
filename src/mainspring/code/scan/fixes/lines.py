"""Fixes of one line in languages other than Python: a setting turned round, a call with a size."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["fix"]

_Swap = tuple[re.Pattern[str], str]
_SWAPS: dict[str, tuple[_Swap, ...]] = {
    "tls-verification-off": (
        (re.compile(r"\b(rejectUnauthorized|strictSSL)(['\"]?\s*:\s*)(false|0|!1)"), r"\1\2true"),
        (re.compile(r"(NODE_TLS_REJECT_UNAUTHORIZED\W*\s*=\s*['\"]?)0"), r"\g<1>1"),
        (re.compile(r"\b(InsecureSkipVerify\s*[:=]\s*)true\b"), r"\1false"),
        (re.compile(r"\b(danger_accept_invalid_(?:certs|hostnames)\(\s*)true"), r"\1false"),
        (re.compile(r"(CURLOPT_SSL_VERIFYPEER\s*,\s*)0L?"), r"\g<1>1L"),
        (re.compile(r"(CURLOPT_SSL_VERIFYHOST\s*,\s*)0L?"), r"\g<1>2L"),
    ),
    "weak-hash": (
        (re.compile(r"\b(createHash|createHmac)(\(\s*['\"])(md5|md4|sha1)(['\"])"), r"\1\2sha256\4"),
        (re.compile(r"(MessageDigest\.getInstance\(\s*\")(MD5|MD2|SHA-?1|SHA)(\")"), r"\1SHA-256\3"),
    ),
    "insecure-cookie": (
        (re.compile(r"\b(secure|httpOnly)(\s*:\s*)false\b"), r"\1\2true"),
        (re.compile(r"\b(setSecure|setHttpOnly)\(\s*false\s*\)"), r"\1(true)"),
        (re.compile(r"\.(secure|http_only)\(\s*false\s*\)"), r".\1(true)"),
    ),
    "xxe": ((re.compile(r"\b(noent|resolveExternals|processEntities|dtdload)(\s*:\s*)true\b"), r"\1\2false"),),
    "weak-tls": (
        (re.compile(r"\btls\.Version(TLS10|TLS11|SSL30)\b"), "tls.VersionTLS12"),
        (re.compile(r"(minVersion\s*:\s*['\"])TLSv1(\.1)?(['\"])"), r"\1TLSv1.2\3"),
    ),
    "format-string": (
        (re.compile(r"\bprintf\s*\(\s*([A-Za-z_]\w*)\s*\)"), r'printf("%s", \1)'),
        (re.compile(r"\bfprintf\s*\(\s*(\w+)\s*,\s*([A-Za-z_]\w*)\s*\)"), r'fprintf(\1, "%s", \2)'),
        (re.compile(r"\bsyslog\s*\(\s*(\w+)\s*,\s*([A-Za-z_]\w*)\s*\)"), r'syslog(\1, "%s", \2)'),
    ),
    "world-writable": (
        (re.compile(r"(,\s*0o?)777\b"), r"\g<1>700"),
        (re.compile(r"(,\s*0o?)666\b"), r"\g<1>600"),
        (re.compile(r"((?:from_mode|set_mode|mode)\(\s*0o?)777"), r"\g<1>700"),
        (re.compile(r"((?:from_mode|set_mode|mode)\(\s*0o?)666"), r"\g<1>600"),
    ),
}
#: C's calls that know no size; the target must be an array that the file declares.
_UNSIZED: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"\bstrcpy\s*\(\s*([A-Za-z_]\w*)\s*,\s*([^;]+?)\s*\)\s*;"),
        lambda m: f'snprintf({m[1]}, sizeof({m[1]}), "%s", {m[2]});',
    ),
    (re.compile(r"\bsprintf\s*\(\s*([A-Za-z_]\w*)\s*,"), lambda m: f"snprintf({m[1]}, sizeof({m[1]}),"),
    (re.compile(r"\bgets\s*\(\s*([A-Za-z_]\w*)\s*\)"), lambda m: f"fgets({m[1]}, sizeof({m[1]}), stdin)"),
    (
        re.compile(r"\bstrcat\s*\(\s*([A-Za-z_]\w*)\s*,\s*([^;]+?)\s*\)\s*;"),
        lambda m: f"strncat({m[1]}, {m[2]}, sizeof({m[1]}) - strlen({m[1]}) - 1);",
    ),
)


def fix(path: str, text: str, rule: str, line: int) -> str | None:
    """The text with one line mended, None when there is no fix for it."""
    lines = text.split("\n")
    if not 0 < line <= len(lines) or len(lines[line - 1]) > 2000:
        return None
    old = lines[line - 1]
    new = old
    for pattern, replacement in _SWAPS.get(rule, ()):
        new = pattern.sub(replacement, new)
    if rule == "buffer-overflow" and path.endswith((".c", ".cc", ".cpp", ".cxx", ".h", ".hpp")):
        for unsized, make in _UNSIZED:
            match = unsized.search(new)
            if match and re.search(rf"\bchar\s+{re.escape(match[1])}\s*\[\s*\w+\s*\]", text):
                new = new[: match.start()] + make(match) + new[match.end() :]
    if new == old:
        return None
    lines[line - 1] = new
    return "\n".join(lines)
