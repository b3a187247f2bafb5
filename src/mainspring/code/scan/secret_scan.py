"""Secrets written in files: tokens of known providers, keys, passwords in addresses, and values with telling names.

A secret never gets into a finding: the snippet shows a mask, the id is made of its digest.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass

from mainspring.code.scan.finding import Draft
from mainspring.code.scan.rules import RULES

__all__ = ["Secret", "find_secrets", "mask"]

#: Longer lines are read up to here; what a person writes is shorter.
_LINE = 20_000
_PROVIDERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b")),
    ("an AWS secret key", re.compile(r"(?i)aws.{0,20}?(?:secret|key).{0,20}?['\"]([A-Za-z0-9/+=]{40})['\"]")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,64}\b")),
    ("a Slack token", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,250}\b")),
    ("a Slack webhook", re.compile(r"https://hooks\.slack\.com/services/[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]{16,40}")),
    ("a Stripe key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,128}\b")),
    ("a Google API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b")),
    ("a Google OAuth secret", re.compile(r"\bGOCSPX-[A-Za-z0-9_-]{28}\b")),
    ("an OpenAI or Anthropic key", re.compile(r"\bsk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,200}\b")),
    ("a SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}\b")),
    ("a Twilio key", re.compile(r"\bSK[0-9a-f]{32}\b")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a PyPI token", re.compile(r"\bpypi-[A-Za-z0-9_-]{50,250}\b")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,50}\b")),
    ("an Azure storage key", re.compile(r"AccountKey=([A-Za-z0-9+/=]{60,100})")),
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,500}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,500}")),
    (
        "a password in an address",
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"()|\\]{1,64}:([^\s:/@'\"()|\\]{3,128})@[^\s'\"/]{1,200}"),
    ),
)
_NAMED = re.compile(
    r"""(?ix)
    (?<![\w./\-])(?P<name>[\w.\-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key|
      signing[_-]?key|encryption[_-]?key|master[_-]?key|hmac[_-]?key|token|credential)s?[\w.\-]{0,20})
    ['"\]]{0,2}\s{0,4}(?::\s{0,2}[\w.\[\]&'<>]{1,30}\s{0,2}=|:=|===?|!==?|=>|[=:]|\.equals\()\s{0,4}(?:String::from\()?
    [bru&]{0,2}(?P<quote>['"`])(?P<value>[^'"`\r\n]{4,200})(?P=quote)
    """
)
_ABOUT = re.compile(
    r"(?i)(name|field|url|uri|path|type|header|file|env|var|label|prefix|param|regex|pattern|hint|prompt|message|error|"
    r"endpoint|expiry|length|ttl|column|format|algorithm|scope|placeholder|description|help|title|text|schema|class|input|id)s?$"
)
_PLACEHOLDER = re.compile(
    r"(?i)^(x{3,}|\*{3,}|\.{3,}|_+|-+|<.*>|\$\{.*\}|\$\w+|\{.*\}|%.*%|your[\W_].*|.*[\W_]here|none|null|undefined|n/?a|redacted|"
    r"\[.*\]|env:.*|secret:.*|vault:.*|file:.*|command:.*|os\.environ.*|process\.env.*)$"
)
_SAMPLE = re.compile(
    r"(?i)(example|dummy|fake|sample|test|placeholder|changeme|change[_-]me|foo|bar|todo|insert|replace|0{8}|1234567)"
)


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret: where it stands, and its text (never shown)."""

    line: int
    what: str
    value: str
    severity: str
    confidence: str


def find_secrets(text: str, testing: bool = False) -> list[Secret]:
    """Secrets in a text; in test code only those of known providers, and as low."""
    found: list[Secret] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line[:_LINE]
        seen: list[str] = []
        for what, pattern in _PROVIDERS:
            for match in pattern.finditer(line):
                value = match[1] if pattern.groups and match[1] else match[0]
                if _PLACEHOLDER.match(value) or any(value in other for other in seen):
                    continue
                sample = _SAMPLE.search(value) is not None or (what.endswith("address") and _SAMPLE.search(match[0]))
                if testing and (sample or what.endswith("address")):
                    continue
                seen.append(value)
                found.append(Secret(number, what, value, "low" if sample or testing else "high", "high"))
        if not testing:
            found += _named(line, number, seen)
    return found


def _named(line: str, number: int, seen: list[str]) -> list[Secret]:
    found = []
    lowered = line.lower()
    if not any(word in lowered for word in ("pass", "pwd", "secret", "key", "token", "credential")):
        return []
    for match in _NAMED.finditer(line):
        name, value = match["name"], match["value"]
        if any(value in other or other in value for other in seen) or _ABOUT.search(name) or _PLACEHOLDER.match(value):
            continue
        if not _secretive(name.lower(), value):
            continue
        sample = _SAMPLE.search(value) is not None
        short = len(value) < 8 or entropy(value) < 2.5
        severity = "low" if sample and "change" in value.lower() else "medium" if short or sample else "high"
        found.append(Secret(number, f"a value for {name[-40:]}", value, severity, "medium"))
    return found


def _secretive(name: str, value: str) -> bool:
    if re.search(r"\s", value) and not re.fullmatch(r"[A-Za-z]+( [a-z]+){3,}", value):
        return False
    if value.startswith(("/", "./", "../", "http://", "https://", "#", ".", "--", "@")) or re.search(
        r"[(){}<>]", value
    ):
        return False
    words = re.fullmatch(r"[A-Za-z_][A-Za-z]*([ _.:-][A-Za-z]+)*", value)
    if words and re.search(r"(?i)pass|token|secret|key|auth|cred|bearer|basic|user|field|csrf|jwt|name", value):
        return False  # the name of something, such as "access_token"
    if re.search(r"token|key|credential", name) and not re.search(r"secret|api|private|signing|encr|auth_?token", name):
        return len(value) >= 16 and entropy(value) >= 3 and not words
    if re.search(r"api|key", name):
        return len(value) >= 8
    return len(value) >= 4


def entropy(text: str) -> float:
    """Bits a character (Shannon), over the text's own characters."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values()) if total else 0.0


def mask(text: str, secrets: list[Secret]) -> str:
    """The text without the secrets; of each its first characters stay when it is long."""
    for secret in sorted(secrets, key=lambda one: -len(one.value)):
        shown = secret.value[:4] if len(secret.value) >= 16 else ""
        text = text.replace(secret.value, f"{shown}[masked]")
    return text


def drafts(text: str, secrets: list[Secret]) -> list[Draft]:
    """Findings of secrets."""
    lines = text.split("\n")
    rule = RULES["hardcoded-secret"]
    return [
        Draft(
            "hardcoded-secret",
            rule.cwe,
            secret.severity,
            secret.confidence,
            secret.line,
            f"{secret.what} is written in the file; if it was ever real, revoke it",
            rule.fix,
            mask(lines[secret.line - 1][:_LINE], secrets).strip(),
            hashlib.sha256(secret.value.encode("utf-8", "replace")).hexdigest()[:16] + secret.what,
        )
        for secret in secrets
    ]
