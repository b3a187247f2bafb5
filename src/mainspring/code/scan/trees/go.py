"""Rules for Go."""

from __future__ import annotations

import re

from mainspring.code.scan.trees.grammar import CallRule, Language, TextRule
from mainspring.code.scan.trees.javascript import SECRET, SQL

__all__ = ["RULES"]

_CALL = frozenset({"call_expression"})
_KEYED = frozenset({"keyed_element"})


def _is(text: str) -> re.Pattern[str]:
    return re.compile(text)


_FILES = _is(
    r"^(os|ioutil)\.(Open|OpenFile|Create|ReadFile|WriteFile|Remove|RemoveAll|ReadDir|Mkdir|MkdirAll|Rename)$|"
    r"^http\.ServeFile$"
)
RULES = Language(
    calls=(
        CallRule(
            "sql-injection",
            _is(
                r"\.(Query|QueryRow|Exec|QueryContext|QueryRowContext|ExecContext|Prepare|PrepareContext|"
                r"Raw|Where|Get|Select|Queryx|MustExec|NamedQuery|Order)$"
            ),
            "sql",
            -1,
            1,
            built=True,
            text=SQL,
            confidence="high",
        ),
        CallRule("sql-injection", _is(r"\.(Raw|Where|Order)$"), "sql", 0, 2, built=True, text=re.compile(r"[=<>]")),
        CallRule("path-traversal", _FILES, "path", -1, 3),
        CallRule(
            "path-traversal", _FILES, "path", -1, 2, built=True, text=re.compile(r"/[^/\0]*\0"), severity="medium"
        ),
        CallRule("ssrf", _is(r"^http\.(Get|Post|Head|PostForm)$|[cC]lient\.(Get|Post|Head)$"), "url", 0, 3),
        CallRule("ssrf", _is(r"^http\.(Get|Post|Head|PostForm)$"), "url", 0, 2, severity="medium", confidence="low"),
        CallRule("ssrf", _is(r"^http\.NewRequest(WithContext)?$"), "url", -1, 3),
        CallRule("open-redirect", _is(r"^http\.Redirect$|\.Redirect$"), "redirect", -1, 3),
        CallRule("xss", _is(r"^template\.(HTML|JS|URL|HTMLAttr|CSS)$"), "html", 0, 1),
        CallRule(
            "xss", _is(r"^fmt\.Fprintf?$|^fmt\.Fprintln$|^io\.WriteString$|\.Write$|\.WriteString$"), "html", -1, 3
        ),
        CallRule("command-injection", _is(r"^exec\.Command(Context)?$"), "command", 0, 3),
        CallRule("log-injection", _is(r"^log\.(Print|Printf|Println|Fatal|Fatalf)$"), "log", -1, 3),
        CallRule("ssti", _is(r"\.Parse$"), "template", 0, 3),
        CallRule("regex-injection", _is(r"^regexp\.(MustCompile|Compile)$"), "regex", 0, 3, severity="low"),
        CallRule(
            "ldap-injection", _is(r"^ldap\.NewSearchRequest$"), "ldap", -1, 2, built=True, text=re.compile(r"\(\w+=")
        ),
        CallRule(
            "xpath-injection",
            _is(r"(xmlquery|htmlquery|xpath)\.\w+$"),
            "xpath",
            -1,
            2,
            built=True,
            text=re.compile(r"^/|\[@?"),
        ),
        CallRule("deserialisation", _is(r"^gob\.NewDecoder$"), "deserialise", 0, 3, severity="medium"),
    ),
    assigns=(),
    texts=(
        TextRule(
            "xss",
            _CALL,
            _is(r"^fmt\.Fprint(f|ln)?\(\s*w\s*,\s*[\"`][^\"`]*<\s*/?[a-zA-Z][^\"`]*(%[svq]|[\"`]\s*\+)"),
            unless=_is(r"EscapeString|HTMLEscape"),
            confidence="medium",
        ),
        TextRule(
            "xss",
            _CALL,
            _is(r"^(w\.Write|io\.WriteString)\([\s\S]*<\s*[a-zA-Z][^\"`]*[\"`]\s*\+"),
            unless=_is(r"EscapeString|HTMLEscape"),
            confidence="medium",
        ),
        TextRule(
            "xss",
            frozenset({"import_spec"}),
            _is(r"^\"text/template\"$"),
            confidence="low",
            severity="low",
            message="text/template does not escape; for HTML use html/template",
        ),
        TextRule(
            "command-injection",
            _CALL,
            _is(
                r"^exec\.Command(Context)?\((ctx,\s*)?\"(/bin/)?(ba|da|z)?sh\"\s*,\s*\"-c\"\s*,\s*(?!\"[^\"]*\"\s*[,)])"
            ),
        ),
        TextRule(
            "command-injection",
            _CALL,
            _is(r"^exec\.Command(Context)?\((ctx,\s*)?\"cmd(\.exe)?\"\s*,\s*\"/[cC]\"\s*,\s*(?!\"[^\"]*\"\s*[,)])"),
        ),
        TextRule("tls-verification-off", _KEYED, _is(r"^InsecureSkipVerify\s*:\s*true$")),
        TextRule("tls-verification-off", frozenset({"assignment_statement"}), _is(r"\.InsecureSkipVerify\s*=\s*true$")),
        TextRule("host-key-unchecked", _CALL, _is(r"^ssh\.InsecureIgnoreHostKey\(")),
        TextRule("weak-tls", _KEYED, _is(r"^MinVersion\s*:\s*tls\.Version(TLS10|TLS11|SSL30)$")),
        TextRule("weak-hash", _CALL, _is(r"^(md5|sha1)\.(New|Sum)\("), severity="medium"),
        TextRule("weak-cipher", _CALL, _is(r"^(des\.New\w+|rc4\.NewCipher|blowfish\.NewCipher)\(")),
        TextRule("weak-key", _CALL, _is(r"^rsa\.GenerateKey\([^,]+,\s*(512|768|1024)\s*\)")),
        TextRule(
            "weak-random",
            _CALL,
            _is(r"^(rand|mrand|mathrand)\.(Int|Intn|Int31|Int31n|Int63|Int63n|Float64|Uint32|Perm|Seed|N|IntN)\("),
            near=SECRET,
        ),
        TextRule(
            "world-writable",
            _CALL,
            _is(r"^os\.(Chmod|OpenFile|WriteFile|Mkdir|MkdirAll)\([\s\S]*,\s*0o?(777|666)\s*\)$"),
            severity="medium",
        ),
        TextRule("world-writable", _CALL, _is(r"^ioutil\.WriteFile\([\s\S]*,\s*0o?(777|666)\s*\)$"), severity="medium"),
        TextRule(
            "timing-compare",
            frozenset({"binary_expression"}),
            _is(
                r"(?i)^[\w.()]*(signature|hmac|mac|api_?key|csrf|secret|expectedToken|authToken|expectedSig)\w*\s*[!=]=\s*"
                r"(?!nil|\"|`|\d|true|false)[\w.()\[\]\"-]+$"
            ),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "timing-compare",
            frozenset({"binary_expression"}),
            _is(
                r"(?i)^(?!\"|`|len)[\w.()\[\]\"-]+\s*[!=]=\s*[\w.]*(signature|hmac|mac|api_?key|csrf|secret|expectedToken|"
                r"authToken|expectedSig|expected)$"
            ),
            near=_is(r"(?i)token|sign|hmac|mac|secret|key"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "timing-compare",
            _CALL,
            _is(r"(?i)^bytes\.(Equal|Compare)\([^)]*(mac|signature|sig|token|hash)"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "insecure-cookie",
            frozenset({"composite_literal"}),
            _is(
                r"^http\.Cookie\s*\{(?![\s\S]*Secure\s*:\s*true[\s\S]*HttpOnly\s*:\s*true|[\s\S]*HttpOnly\s*:\s*true[\s\S]*Secure\s*:\s*true)"
            ),
            unless=_is(r"\.HttpOnly\s*=\s*true"),
        ),
        TextRule("unsafe-block", frozenset({"selector_expression"}), _is(r"^unsafe\.Pointer$"), severity="low"),
        TextRule(
            "archive-extraction",
            _CALL,
            _is(r"^filepath\.Join\([^)]*\b(f|file|hdr|header|entry|zf)\.Name\b"),
            unless=_is(r"HasPrefix|IsLocal|filepath\.Base|Contains\([^)]*\"\.\.\"|filepath\.Rel|securejoin"),
        ),
        TextRule("bind-all", _CALL, _is(r"\.?(ListenAndServe|Listen)\([\s\S]*\"0\.0\.0\.0"), severity="low"),
        TextRule(
            "secret-in-log",
            _CALL,
            _is(r"(?i)^log\.\w+\([^)]*,\s*(\w+\.)*(password|secret|apikey|token)\s*[,)]"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "error-exposure", _CALL, _is(r"debug\.Stack\(\)"), near=_is(r"Fprint|Write|http\.Error"), severity="low"
        ),
        TextRule("csrf-off", _CALL, _is(r"^csrf\.(Secure\(false\)|UnsafeSkipCheck)"), severity="medium"),
    ),
    outside=re.compile(
        r"\b(r|req|request)\.(FormValue|PostFormValue|URL|Header|Body|Form|PostForm|PathValue|Host|Cookie|RequestURI|Referer)\b|"
        r"\bc(tx)?\.(Param|Query|PostForm|DefaultQuery|FormValue|QueryParam|GetHeader|Params|BodyParser)\b|\bmux\.Vars\(|"
        r"\bchi\.URLParam\("
    ),
    cleaners=(
        (
            re.compile(
                r"^strconv\.(Atoi|ParseInt|ParseUint|ParseFloat|ParseBool|Itoa)$|^uuid\.Parse$|^len$|^int(64|32)?$"
            ),
            ("*",),
        ),
        (re.compile(r"^filepath\.Base$|^path\.Base$|securejoin\.SecureJoin"), ("path",)),
        (re.compile(r"^(html|template)\.(EscapeString|HTMLEscapeString|HTMLEscaper)$"), ("html",)),
        (re.compile(r"^url\.(QueryEscape|PathEscape)$"), ("url", "html", "path", "redirect")),
        (re.compile(r"^strconv\.Quote$|^strings\.ReplaceAll$|^strings\.NewReplacer|\.Replace$"), ("log",)),
        (re.compile(r"^regexp\.QuoteMeta$"), ("regex",)),
        (re.compile(r"^ldap\.EscapeFilter$"), ("ldap",)),
        (re.compile(r"^pq\.Quote\w+$"), ("sql",)),
        (re.compile(r"(?i)(^|\.)(?!un)(sanitize|escape|quote|clean(?!$)|validate|safe|allow|isvalid)\w*"), ("*",)),
    ),
    formats=re.compile(r"^fmt\.(Sprintf|Errorf|Sprint)$"),
    services=re.compile(r"^(w|r|req|ctx|db|tx|conn|client|logger|log|c|err|t|s|h|app|srv|server|repo|pool|rows|buf)$"),
)
