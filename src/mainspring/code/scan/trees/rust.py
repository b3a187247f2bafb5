"""Rules for Rust."""

from __future__ import annotations

import re

from mainspring.code.scan.trees.grammar import CallRule, Language, TextRule
from mainspring.code.scan.trees.javascript import HTML, SECRET, SQL

__all__ = ["RULES"]

_CALL = frozenset({"call_expression"})


def _is(text: str) -> re.Pattern[str]:
    return re.compile(text)


_FILES = _is(
    r"(^|::)(File::(open|create)|fs::(read|read_to_string|write|remove_file|remove_dir_all|create_dir_all|read_dir|"
    r"copy|rename|File::open)|NamedFile::open)$"
)
RULES = Language(
    calls=(
        CallRule(
            "sql-injection",
            _is(
                r"(\.|::)(execute|query|query_row|query_map|prepare|batch_execute|execute_batch|query_one|"
                r"query_opt|query_as|sql_query|raw_sql|fetch_all|query_drop|exec_drop|simple_query)$"
            ),
            "sql",
            0,
            1,
            built=True,
            text=SQL,
            confidence="high",
        ),
        CallRule("path-traversal", _FILES, "path", 0, 3),
        CallRule("path-traversal", _FILES, "path", 0, 2, built=True, text=re.compile(r"/[^/\0]*\0"), severity="medium"),
        CallRule(
            "ssrf",
            _is(r"^(reqwest::(blocking::)?get|ureq::get|surf::get)$"),
            "url",
            0,
            2,
            severity="medium",
            confidence="low",
        ),
        CallRule("xss", _is(r"(^|::)(Html|RawHtml|PreEscaped)$|\.body$|html$"), "html", 0, 2, built=True, text=HTML),
        CallRule(
            "open-redirect", _is(r"Redirect::(to|temporary|permanent|found)$"), "redirect", 0, 2, severity="medium"
        ),
        CallRule("command-injection", _is(r"Command::new$"), "command", 0, 3),
        CallRule("command-injection", _is(r"^(libc::)?system$"), "shell", 0, 2),
        CallRule(
            "deserialisation",
            _is(r"^(bincode|rmp_serde|serde_pickle)::(deserialize|from_slice)$"),
            "deserialise",
            0,
            3,
            severity="low",
        ),
        CallRule("regex-injection", _is(r"^Regex::new$"), "regex", 0, 3, severity="low"),
    ),
    assigns=(),
    texts=(
        TextRule(
            "command-injection",
            _CALL,
            _is(
                r"Command::new\(\s*\"(/bin/)?(ba|z|da)?sh\"\s*\)[\s\S]*\.arg\(\s*\"-c\"\s*\)\s*\.arg\(\s*(?!\"[^\"]*\"\s*\))[^)]"
            ),
        ),
        TextRule(
            "command-injection",
            _CALL,
            _is(
                r"Command::new\(\s*\"(/bin/)?(ba|z|da)?sh\"\s*\)[\s\S]*\.args\(\s*(&?\[|vec!\[)\s*\"-c\"\s*,\s*(?!\"[^\"]*\"\s*\])"
            ),
        ),
        TextRule("tls-verification-off", _CALL, _is(r"\.danger_accept_invalid_(certs|hostnames)\(\s*true\s*\)$")),
        TextRule(
            "tls-verification-off",
            _CALL,
            _is(r"\.set_verify\(\s*SslVerifyMode::NONE\s*\)$|\.dangerous\(\)\s*\.\s*set_certificate_verifier\("),
        ),
        TextRule(
            "weak-hash",
            _CALL,
            _is(r"^(md5::compute|Md5::(new|digest)|Sha1::(new|digest)|sha1::Sha1::\w+|MessageDigest::(md5|sha1))\("),
            severity="medium",
        ),
        TextRule(
            "weak-cipher",
            _CALL,
            _is(r"^(Des|TdesEde\w+|Rc4|Blowfish|Ecb\w*)::(new|new_from_slice)\w*\(|Cipher::(des|rc4|\w*ecb)\w*\("),
        ),
        TextRule(
            "weak-random",
            _CALL,
            _is(r"^(\w+::)*(SmallRng::|StdRng::seed_from_u64|fastrand::|oorandom::|Pcg\w*::|XorShift\w*::)\w*"),
            near=SECRET,
        ),
        TextRule(
            "unsafe-block",
            _CALL,
            _is(r"^(std::|core::)?mem::(transmute|transmute_copy|zeroed|uninitialized|forget)\b|^transmute\("),
            severity="medium",
        ),
        TextRule(
            "unsafe-block",
            _CALL,
            _is(
                r"from_utf8_unchecked\(|\.get_unchecked(_mut)?\(|from_raw_parts(_mut)?\(|\.set_len\(|"
                r"^(\w+::)*(Box|Rc|Arc|CString|Vec|String)::from_raw\w*\(|unreachable_unchecked\("
            ),
            severity="medium",
        ),
        TextRule("unsafe-block", frozenset({"unsafe_block"}), _is(r"^unsafe"), severity="low", confidence="medium"),
        TextRule("unsafe-block", frozenset({"static_item"}), _is(r"^(pub\s+)?static\s+mut\b"), severity="low"),
        TextRule("unsafe-block", frozenset({"impl_item"}), _is(r"^unsafe\s+impl\s+(Send|Sync)\b"), severity="medium"),
        TextRule("world-writable", _CALL, _is(r"(from_mode|set_mode|mode)\(\s*0o?(777|666)\s*\)$")),
        TextRule(
            "timing-compare",
            frozenset({"binary_expression"}),
            _is(
                r"(?i)^[\w.&*()]*(signature|hmac|(^|_)mac|api_?key|csrf|secret|expected_token|auth_token)\w*(\.as_\w+\(\))?\s*[!=]=\s*"
                r"(?!None|\"|\d|true|false)[\w.&*()\[\]\"-]+$"
            ),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "timing-compare",
            frozenset({"binary_expression"}),
            _is(
                r"(?i)^(?!\")[\w.&*()\[\]-]+\s*[!=]=\s*[\w.&*]*(signature|hmac|api_?key|csrf|secret|expected_token|auth_token|"
                r"expected_mac|expected_sig)\w*$"
            ),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "insecure-temp",
            frozenset({"string_literal"}),
            _is(r"^\"/tmp/[\w.-]+\"$"),
            near=_is(r"create|write"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "bind-all",
            frozenset({"string_literal"}),
            _is(r"^\"0\.0\.0\.0(:\d+)?\"$"),
            near=_is(r"bind"),
            severity="low",
        ),
        TextRule("host-key-unchecked", _CALL, _is(r"^danger_accept_any_host_key\("), severity="medium"),
        TextRule("insecure-cookie", _CALL, _is(r"\.(secure|http_only)\(\s*false\s*\)$")),
    ),
    outside=re.compile(
        r"\b(Query|Path|Form|Json|web::(Query|Path|Form|Json))\s*[<(]|\breq\.(param|query|headers|uri|match_info)\b|"
        r"\brequest\.(headers|uri|query_string|param)\b"
    ),
    cleaners=(
        (re.compile(r"\.parse(::<[\w:]+>)?$|Uuid::parse_str$|\.len$|\.count$"), ("*",)),
        (re.compile(r"\.file_name$|sanitize_filename::sanitize$"), ("path",)),
        (re.compile(r"shell_escape::escape$|shlex::(try_)?quote$|shell_words::quote$"), ("shell",)),
        (re.compile(r"encode_(text|safe|minimal|quoted_attribute)$|html_escape::\w+$|escape_html$"), ("html",)),
        (re.compile(r"regex::escape$"), ("regex",)),
        (re.compile(r"urlencoding::encode$"), ("url", "redirect", "html", "path")),
        (re.compile(r"(?i)(^|\.|::)(?!un)(sanitize|escape|quote|validate|safe_|allow|is_valid|clean)\w*"), ("*",)),
    ),
    formats=re.compile(r"^\0$"),
    services=re.compile(r"^(self|conn|pool|client|db|tx|req|request|ctx|state|cfg|config|stmt|rng|_)$"),
)
