"""Rules for C and C++."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mainspring.code.scan.finding import Draft
from mainspring.code.scan.rules import draft
from mainspring.code.scan.trees.engine import text_of
from mainspring.code.scan.trees.grammar import CallRule, Language, TextRule
from mainspring.code.scan.trees.javascript import SECRET, SQL

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["RULES", "freed"]

_CALL = frozenset({"call_expression"})


def _is(text: str) -> re.Pattern[str]:
    return re.compile(text)


RULES = Language(
    calls=(
        CallRule(
            "buffer-overflow",
            _is(r"^(std::)?(strcpy|strcat|wcscpy|wcscat|stpcpy|lstrcpy)$"),
            "length",
            1,
            1,
            confidence="high",
        ),
        CallRule(
            "unchecked-length", _is(r"^(std::)?(memcpy|memmove|strncpy|bcopy|wmemcpy|read|recv|fread)$"), "length", 2, 2
        ),
        CallRule("stack-allocation", _is(r"^(alloca|__builtin_alloca|_alloca)$"), "length", 0, 1),
        CallRule("command-injection", _is(r"^(std::)?(system|popen|_popen|wordexp)$"), "shell", 0, 1),
        CallRule(
            "command-injection",
            _is(r"^exec(l|lp|v|vp|ve|vpe|le)$"),
            "command",
            0,
            2,
            severity="medium",
            confidence="low",
        ),
        CallRule("format-string", _is(r"^(std::)?(printf|vprintf|wprintf)$"), "format", 0, 1),
        CallRule("format-string", _is(r"^(std::)?(fprintf|sprintf|dprintf|vfprintf|vsprintf)$"), "format", 1, 1),
        CallRule("format-string", _is(r"^syslog$"), "format", 1, 1),
        CallRule("format-string", _is(r"^(std::)?(snprintf|vsnprintf)$"), "format", 2, 1),
        CallRule(
            "sql-injection",
            _is(r"^(sqlite3_exec|sqlite3_prepare(_v2|_v3)?|mysql_query|mysql_real_query|PQexec)$"),
            "sql",
            1,
            2,
            built=True,
            text=SQL,
        ),
        CallRule(
            "path-traversal",
            _is(r"^(std::)?(fopen|open|remove|unlink)$|^(std::)?(i|o)?fstream$"),
            "path",
            0,
            2,
            built=True,
            text=re.compile(r"/[^/\0]*\0"),
            severity="medium",
        ),
    ),
    assigns=(),
    texts=(
        TextRule("buffer-overflow", _CALL, _is(r"^(gets|_getws)\s*\("), message="gets reads without a limit"),
        TextRule(
            "buffer-overflow",
            _CALL,
            _is(r"^(scanf|fscanf|sscanf|wscanf)\s*\([^\"]*\"[^\"]*%(s|\[)"),
            message="%s reads without a limit",
        ),
        TextRule("buffer-overflow", _CALL, _is(r"^(std::)?(sprintf|vsprintf)\s*\([^,]+,\s*\"[^\"]*%[-0-9]*s")),
        TextRule(
            "buffer-overflow",
            _CALL,
            _is(r"^strncat\s*\(\s*(\w+)\s*,[^,]+,\s*sizeof\s*\(?\s*\1\s*\)?\s*\)"),
            message="strncat takes the room that is left, not the size",
        ),
        TextRule("weak-random", _CALL, _is(r"^(std::)?(rand|random|srand|drand48|rand_r)\s*\("), near=SECRET),
        TextRule(
            "weak-random",
            frozenset({"function_definition"}),
            _is(
                r"(?i)^[^{]*(token|password|secret|session|otp|nonce|salt|api_?key)[^{]*\{[\s\S]*\b(rand|random)\s*\(\s*\)"
            ),
            confidence="medium",
        ),
        TextRule(
            "weak-hash",
            _CALL,
            _is(r"^(MD5|MD5_Init|SHA1|SHA1_Init|EVP_md5|EVP_sha1|MD4|CC_MD5|CC_SHA1)\s*\("),
            severity="medium",
        ),
        TextRule("weak-cipher", _CALL, _is(r"^(DES_\w+|EVP_des_\w+|RC4|EVP_rc4|EVP_\w+_ecb|EVP_bf_\w+)\s*\(")),
        TextRule(
            "tls-verification-off", _CALL, _is(r"CURLOPT_SSL_VERIFY(PEER|HOST)\s*,\s*(0L?|false)\s*\)|SSL_VERIFY_NONE")
        ),
        TextRule("weak-tls", _CALL, _is(r"^(SSLv3|SSLv2|TLSv1|TLSv1_1)_(client_|server_)?method\s*\(")),
        TextRule("insecure-temp", _CALL, _is(r"^(tmpnam|tempnam|mktemp)\s*\(")),
        TextRule("insecure-temp", _CALL, _is(r"^fopen\s*\(\s*\"/tmp/[\w.-]+\"\s*,\s*\"[wa]"), confidence="medium"),
        TextRule("world-writable", _CALL, _is(r"^(chmod|fchmod|mkdir|open|creat)\s*\([\s\S]*,\s*0(777|666)\s*\)$")),
        TextRule("world-writable", _CALL, _is(r"^umask\s*\(\s*0+\s*\)$"), severity="medium"),
        TextRule("race-check", _CALL, _is(r"^access\s*\("), near=_is(r"access"), severity="medium"),
        TextRule(
            "integer-overflow",
            _CALL,
            _is(r"^(malloc|alloca)\s*\(\s*[A-Za-z_]\w*\s*\*\s*(sizeof|[A-Za-z_]\w*)"),
            unless=_is(r"SIZE_MAX|UINT_MAX|INT_MAX|__builtin_mul_overflow|(>|>=|<|<=)\s*[\w(]+\s*/|if\s*\([^)]*(>|<)"),
            confidence="medium",
        ),
        TextRule(
            "timing-compare",
            _CALL,
            _is(r"(?i)^(memcmp|strcmp|strncmp)\s*\([^)]*(mac|hmac|signature|token|secret|password|digest|api_?key)"),
            severity="medium",
            confidence="medium",
        ),
    ),
    outside=re.compile(r"\b(getenv|fgets|recv|argv)\b"),
    cleaners=(
        (re.compile(r"^(std::)?(atoi|strtol|strtoul|strlen|sizeof|min|MIN)$|^std::(min|clamp|stoi)$"), ("*",)),
        (re.compile(r"^_$|^gettext$|^ngettext$"), ("format",)),
        (re.compile(r"(?i)(^|_|::)(?!un)(sanitize|escape|quote|validate|safe|allow|is_?valid)\w*$"), ("*",)),
    ),
    formats=re.compile(r"^(std::)?format$|^fmt::format$"),
    services=re.compile(r"^(db|conn|ctx|fp|file|stream|this|fmt|format|ap|args)$"),
)


def freed(root: Node) -> list[Draft]:
    """Memory used, or freed again, after it was freed, within one block."""
    found: list[Draft] = []
    pending = [root]
    while pending:
        node = pending.pop()
        pending.extend(node.named_children)
        if node.type == "compound_statement":
            found += _block(node)
    return found


def _block(block: Node) -> list[Draft]:
    found: list[Draft] = []
    dead: dict[str, str] = {}
    for statement in block.named_children:
        said = text_of(statement, 2000)
        for name in list(dead):
            if re.match(rf"\s*{re.escape(name)}\s*=[^=]", said):
                del dead[name]
                continue
            uses = re.search(rf"(?<![\w.>]){re.escape(name)}(?!\w)", said)
            if uses is None or statement.type == "comment":
                continue
            again = re.match(
                rf"\s*(free\s*\(\s*{re.escape(name)}\s*\)|delete(\s*\[\s*\])?\s+{re.escape(name)}\s*;)", said
            )
            rule = "double-free" if again else "use-after-free"
            at = said[: uses.start()].count("\n")
            found.append(draft(rule, statement.start_point.row + 1 + at, confidence="high"))
            del dead[name]
        if statement.type in ("return_statement", "break_statement", "goto_statement", "continue_statement"):
            break
        gone = re.match(r"\s*(?:free\s*\(\s*([\w.>\[\]-]+)\s*\)|delete(?:\s*\[\s*\])?\s+([\w.>-]+))\s*;", said)
        if (gone and statement.type == "expression_statement") or (gone and "delete" in said[:10]):
            dead[gone[1] or gone[2]] = "freed"
    return found
