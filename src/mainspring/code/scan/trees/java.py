"""Rules for Java."""

from __future__ import annotations

import re

from mainspring.code.scan.trees.grammar import CallRule, Language, TextRule
from mainspring.code.scan.trees.javascript import HTML, SECRET, SQL

__all__ = ["RULES"]

_CALL = frozenset({"method_invocation"})
_NEW = frozenset({"object_creation_expression"})


def _is(text: str) -> re.Pattern[str]:
    return re.compile(text)


_FILES = _is(
    r"^new (FileInputStream|FileOutputStream|FileReader|FileWriter|RandomAccessFile|PrintWriter|Scanner|"
    r"FileSystemResource)$|^Files\.(\w+)$"
)
RULES = Language(
    calls=(
        CallRule(
            "sql-injection",
            _is(
                r"\.(executeQuery|execute|executeUpdate|executeLargeUpdate|addBatch|prepareStatement|"
                r"prepareCall|createQuery|createNativeQuery|createSQLQuery|query|queryForObject|queryForList|"
                r"queryForMap|update|batchUpdate|rawQuery|execSQL|nativeQuery)$"
            ),
            "sql",
            0,
            1,
            built=True,
            text=SQL,
            confidence="high",
        ),
        CallRule("command-injection", _is(r"(getRuntime\(\)|[rR]untime|rt)\.exec$"), "shell", 0, 2),
        CallRule("command-injection", _is(r"(getRuntime\(\)|[rR]untime|rt)\.exec$"), "shell", 0, 1, built=True),
        CallRule(
            "code-injection",
            _is(
                r"([eE]ngine|scriptEngine|GroovyShell|shell|interpreter)\w*(\(\))?\.(eval|evaluate|parse)$|"
                r"\.parseExpression$|^MVEL\.eval$|^Ognl\.getValue$"
            ),
            "code",
            0,
            2,
        ),
        CallRule("unsafe-reflection", _is(r"^Class\.forName$"), "code", 0, 2, severity="medium"),
        CallRule("path-traversal", _FILES, "path", -1, 3),
        CallRule(
            "path-traversal", _FILES, "path", -1, 2, built=True, text=re.compile(r"/[^/\0]*\0"), severity="medium"
        ),
        CallRule("path-traversal", _is(r"^new File$"), "path", -1, 3),
        CallRule("ssrf", _is(r"^new (URL|URI|HttpGet|HttpPost)$|^URI\.create$|[rR]estTemplate\.\w+$"), "url", 0, 3),
        CallRule(
            "ssrf",
            _is(r"^new URL$|^URI\.create$|[rR]estTemplate\.(getForObject|getForEntity|exchange)$"),
            "url",
            0,
            2,
            severity="medium",
            confidence="low",
        ),
        CallRule("open-redirect", _is(r"\.sendRedirect$|^new RedirectView$"), "redirect", 0, 2),
        CallRule(
            "xss",
            _is(r"(getWriter\(\)|writer|out|pw)\.(println|print|write|append|printf)$"),
            "html",
            -1,
            2,
            built=True,
            text=HTML,
        ),
        CallRule("xss", _is(r"(getWriter\(\)|writer|out)\.(println|print|write)$"), "html", 0, 3),
        CallRule("ldap-injection", _is(r"\.search$"), "ldap", -1, 2, built=True, text=re.compile(r"\([&|]?\(?\w+=")),
        CallRule(
            "xpath-injection",
            _is(r"\.(evaluate|compile|selectNodes|selectSingleNode)$"),
            "xpath",
            0,
            2,
            built=True,
            text=re.compile(r"^/|\[@?\w+"),
        ),
        CallRule(
            "log-injection", _is(r"(?i)(log|logger)\.(info|warn|error|debug|trace|severe|warning)$"), "log", -1, 3
        ),
        CallRule("header-injection", _is(r"\.(setHeader|addHeader)$"), "header", 1, 3),
        CallRule("regex-injection", _is(r"^Pattern\.(compile|matches)$"), "regex", 0, 3),
        CallRule("format-string", _is(r"^String\.format$|\.printf$"), "format", 0, 3, severity="medium"),
        CallRule("deserialisation", _is(r"(?i)xstream\.fromXML$|^new XMLDecoder$"), "deserialise", 0, 1),
    ),
    assigns=(),
    texts=(
        TextRule(
            "command-injection",
            _NEW,
            _is(
                r"^new ProcessBuilder\(\s*(Arrays\.asList\(|List\.of\()?\s*\"(/bin/)?(ba)?sh\"\s*,\s*\"-c\"\s*,\s*(?!\"[^\"]*\"\s*\))"  # noqa: E501
            ),
        ),
        TextRule(
            "command-injection",
            _NEW,
            _is(r"^new ProcessBuilder\(\s*\"cmd(\.exe)?\"\s*,\s*\"/[cC]\"\s*,\s*(?!\"[^\"]*\"\s*\))"),
        ),
        TextRule(
            "command-injection",
            _CALL,
            _is(r"\.exec\(\s*new String\s*\[\]\s*\{\s*\"(/bin/)?(ba)?sh\"\s*,\s*\"-c\"\s*,\s*(?!\"[^\"]*\"\s*\})"),
        ),
        TextRule(
            "deserialisation",
            _NEW,
            _is(r"^new ObjectInputStream\("),
            unless=_is(r"ObjectInputFilter|resolveClass|ValidatingObject"),
        ),
        TextRule(
            "deserialisation",
            _NEW,
            _is(r"^new (Yaml|Kryo)\(\s*\)"),
            unless=_is(r"SafeConstructor|setRegistrationRequired\(true"),
            severity="medium",
        ),
        TextRule("deserialisation", _CALL, _is(r"\.(enableDefaultTyping|activateDefaultTyping)\(")),
        TextRule(
            "xxe",
            _CALL,
            _is(
                r"^(DocumentBuilderFactory|SAXParserFactory|XMLInputFactory|TransformerFactory|SchemaFactory)\."
                r"(newInstance|newFactory)\("
            ),
            unless=_is(
                r"disallow-doctype-decl|external-general-entities|FEATURE_SECURE_PROCESSING|ACCESS_EXTERNAL_DTD|"
                r"SUPPORT_DTD|IS_SUPPORTING_EXTERNAL_ENTITIES|setExpandEntityReferences\(false"
            ),
        ),
        TextRule(
            "xxe", _NEW, _is(r"^new (SAXReader|SAXBuilder)\("), unless=_is(r"disallow-doctype-decl|external-general")
        ),
        TextRule(
            "weak-hash", _CALL, _is(r"^MessageDigest\.getInstance\(\s*\"(MD5|MD2|SHA-?1|SHA)\""), severity="medium"
        ),
        TextRule(
            "weak-hash", _CALL, _is(r"^DigestUtils\.(md5|sha1|sha)(Hex)?\(|^Hashing\.(md5|sha1)\("), severity="medium"
        ),
        TextRule(
            "weak-cipher",
            _CALL,
            _is(r"^Cipher\.getInstance\(\s*\"(DES|DESede|RC4|RC2|Blowfish|ARCFOUR|AES\"|[^\"]*/ECB/)"),
        ),
        TextRule(
            "weak-cipher", _CALL, _is(r"^(KeyGenerator|SecretKeyFactory)\.getInstance\(\s*\"(DES|RC4|RC2|Blowfish)\"")
        ),
        TextRule(
            "static-iv",
            _NEW,
            _is(r"^new (IvParameterSpec|GCMParameterSpec)\([^)]*(\"[^\"]*\"\.getBytes|new byte\[\d+\])"),
            severity="medium",
        ),
        TextRule("weak-key", _CALL, _is(r"\.initialize\(\s*(512|768|1024)\b"), severity="medium"),
        TextRule("weak-random", _NEW, _is(r"^new (java\.util\.)?Random\("), near=SECRET),
        TextRule(
            "weak-random",
            _CALL,
            _is(r"^(Math\.random|ThreadLocalRandom\.current|RandomStringUtils\.random\w*)\("),
            near=SECRET,
        ),
        TextRule(
            "weak-random",
            frozenset({"method_declaration"}),
            _is(
                r"(?i)^[^{]*(token|password|secret|session|otp|nonce|salt|apikey)"
                r"[^{]*\{[\s\S]*new (java\.util\.)?Random\("
            ),
            confidence="medium",
        ),
        TextRule(
            "tls-verification-off",
            frozenset({"method_declaration"}),
            _is(r"\bcheckServerTrusted\s*\([^)]*\)(\s*throws [\w., ]+)?\s*\{\s*(//[^\n]*\s*)*(return;)?\s*\}"),
        ),
        TextRule(
            "tls-verification-off",
            frozenset({"method_declaration"}),
            _is(r"\bboolean\s+verify\s*\(\s*String[^)]*SSLSession[^)]*\)\s*\{\s*return\s+true;\s*\}"),
        ),
        TextRule(
            "tls-verification-off",
            frozenset({"lambda_expression"}),
            _is(r"^\(?\s*\w+\s*,\s*\w+\s*\)?\s*->\s*true$"),
            near=_is(r"[hH]ostname"),
        ),
        TextRule("tls-verification-off", _CALL, _is(r"NoopHostnameVerifier|ALLOW_ALL_HOSTNAME|TrustAllStrategy")),
        TextRule(
            "weak-tls", _CALL, _is(r"^SSLContext\.getInstance\(\s*\"(SSL|SSLv3|TLSv1|TLSv1\.1)\""), severity="medium"
        ),
        TextRule(
            "insecure-cookie",
            _NEW,
            _is(r"^new (javax\.servlet\.http\.)?Cookie\("),
            unless=_is(r"setSecure\(\s*true[\s\S]*setHttpOnly\(\s*true|setHttpOnly\(\s*true[\s\S]*setSecure\(\s*true"),
        ),
        TextRule("insecure-cookie", _CALL, _is(r"\.(setSecure|setHttpOnly)\(\s*false\s*\)$")),
        TextRule(
            "csrf-off",
            _CALL,
            _is(r"\.csrf\(\s*\)\s*\.disable\(\s*\)$|\.csrf\(\s*(\w+\s*->\s*\w+\.disable\(\)|\w+::disable)"),
        ),
        TextRule(
            "timing-compare",
            _CALL,
            _is(
                r"(?i)^[\w.()]*(signature|hmac|mac|apikey|csrf|secret|token|passwordhash|digest)\w*(\(\))?\.equals(IgnoreCase)?\(\s*(?!\")\w"
            ),
            near=_is(r"(?i)expected|stored|secret|signature|hmac|apikey|token"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "timing-compare",
            _CALL,
            _is(r"(?i)^Arrays\.equals\([^)]*(mac|sign|hash|token|digest)"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "timing-compare",
            _CALL,
            _is(
                r"(?i)^(?!\")[\w.()]*(expected|computed|actual|calculated)\w*\.equals\(\s*(?!\")\w*"
                r"(signature|sig|mac|token|provided|hash)"
            ),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "archive-extraction",
            _NEW,
            _is(r"^new File\([^)]*\b(entry|ze|zipEntry|e)\.getName\(\)"),
            unless=_is(r"getCanonicalPath|toRealPath|normalize\(\)[\s\S]*startsWith|startsWith\("),
        ),
        TextRule(
            "archive-extraction",
            _CALL,
            _is(r"\.resolve\(\s*(entry|ze|zipEntry|e)\.getName\(\)"),
            unless=_is(r"startsWith\("),
        ),
        TextRule(
            "world-writable",
            _CALL,
            _is(
                r"\.set(Writable|Readable|Executable)\(\s*true\s*,\s*false\s*\)$|"
                r"PosixFilePermissions\.fromString\(\s*\"rwxrwxrwx\""
            ),
            severity="medium",
        ),
        TextRule("insecure-temp", _NEW, _is(r"^new File\(\s*\"/tmp/[\w.-]+\""), severity="medium", confidence="medium"),
        TextRule("error-exposure", _CALL, _is(r"\.printStackTrace\(\s*(response|resp|res|out)\b"), severity="low"),
    ),
    outside=re.compile(
        r"\b(request|req|httpRequest|servletRequest|httpServletRequest)\.(getParameter|getHeader|getQueryString|getCookies|"
        r"getInputStream|getReader|getParameterValues|getPathInfo|getRequestURI|getParameterMap|getPart)\b|"
        r"@(RequestParam|PathVariable|RequestBody|RequestHeader|CookieValue|QueryParam|PathParam|FormParam)\b"
    ),
    cleaners=(
        (
            re.compile(
                r"(Integer|Long|Double|Boolean|Short)\.(parse\w+|valueOf)$|UUID\.fromString$|\.(length|size|hashCode)$"
            ),
            ("*",),
        ),
        (re.compile(r"\.getFileName$|FilenameUtils\.getName$"), ("path",)),
        (re.compile(r"(?i)escapeHtml\w*$|Encode\.forHtml\w*$|htmlEscape$|HtmlUtils\.\w+$"), ("html",)),
        (re.compile(r"URLEncoder\.encode$"), ("url", "html", "header", "log", "redirect", "path")),
        (re.compile(r"\.(replaceAll|replace)$"), ("log", "header")),
        (re.compile(r"Pattern\.quote$"), ("regex",)),
        (
            re.compile(r"(?i)(^|\.)(?!un)(sanitize|escape|quote|validate|safe|allow|isvalid|clean|encodeFor)\w*$"),
            ("*",),
        ),
    ),
    formats=re.compile(r"^String\.format$|\.formatted$|^MessageFormat\.format$|\.concat$"),
    services=re.compile(
        r"^(request|req|response|resp|res|conn|connection|stmt|statement|session|em|entityManager|jdbcTemplate|"
        r"template|ctx|context|model|engine|writer|out|logger|log)$"
    ),
)
