"""Rules for JavaScript and TypeScript."""

from __future__ import annotations

import re

from mainspring.code.scan.trees.grammar import CallRule, Language, TextRule

__all__ = ["RULES"]

SQL = re.compile(
    r"\b(select\b.*\bfrom|insert\s+into|update\b.*\bset|delete\s+from|drop\s+table|create\s+table|where\b|order\s+by|"
    r"alter\s+table|truncate|union\s+select|exec\b|call\b)",
    re.I | re.S,
)
HTML = re.compile(r"<\s*/?\s*[a-zA-Z][^<]*", re.S)
SECRET = re.compile(
    r"token|secret|passw|session|api_?key|nonce|salt|otp|csrf|reset|auth|credential|invite|verification|\bpin\b|sessionId",
    re.I,
)
_CALLS = frozenset({"call_expression", "new_expression"})
_PAIR = frozenset({"pair"})


def _is(text: str) -> re.Pattern[str]:
    return re.compile(text)


_FS = _is(
    r"^(fs|fsp|fs\.promises|fsPromises|promises)\.(readFile|readFileSync|createReadStream|writeFile|writeFileSync|unlink|"
    r"unlinkSync|createWriteStream|appendFile|appendFileSync|rm|rmSync|readdir|readdirSync|open|openSync|stat|statSync)$|"
    r"^(readFile|readFileSync|createReadStream|writeFile|writeFileSync|unlink)$|\.(sendFile|download|sendfile)$"
)
RULES = Language(
    calls=(
        CallRule("code-injection", _is(r"^(window\.|global(This)?\.)?eval$|^new Function$|^Function$"), "code", -1, 1),
        CallRule("code-injection", _is(r"^vm\.(runIn\w+|compileFunction)$|^new vm\.Script$"), "code", 0, 2),
        CallRule("code-injection", _is(r"^(window\.)?(setTimeout|setInterval)$"), "code", 0, 1, built=True),
        CallRule("command-injection", _is(r"(^|\.)(exec|execSync)$"), "shell", 0, 1, built=True, confidence="high"),
        CallRule(
            "command-injection",
            _is(r"^(child_process|cp|childProcess)\.(exec|execSync)$|^(exec|execSync)$"),
            "shell",
            0,
            2,
        ),
        CallRule("command-injection", _is(r"(^|\.)(spawn|spawnSync|execFile|execFileSync)$"), "command", 0, 3),
        CallRule(
            "sql-injection",
            _is(
                r"\.(query|execute|raw|\$queryRawUnsafe|\$executeRawUnsafe|run|all|get|each|exec|prepare|"
                r"whereRaw|orderByRaw|literal|unsafe)$"
            ),
            "sql",
            0,
            1,
            built=True,
            text=SQL,
            confidence="high",
        ),
        CallRule(
            "nosql-injection",
            _is(
                r"\.(find|findOne|findOneAndUpdate|updateOne|updateMany|deleteOne|deleteMany|"
                r"countDocuments|aggregate)$"
            ),
            "nosql",
            0,
            3,
        ),
        CallRule(
            "xss",
            _is(r"^document\.(write|writeln)$|\.insertAdjacentHTML$|\.(html|append|prepend)$"),
            "html",
            -1,
            2,
            text=re.compile(r"<|^$"),
        ),
        CallRule("xss", _is(r"^(res|response|reply|ctx)\.(send|write|end|html)$"), "html", 0, 2, built=True, text=HTML),
        CallRule("xss", _is(r"^(res|response|reply)\.send$"), "html", 0, 3, severity="medium"),
        CallRule("xss", _is(r"bypassSecurityTrust\w+$|^new Handlebars\.SafeString$"), "html", 0, 2),
        CallRule("path-traversal", _FS, "path", 0, 3),
        CallRule("path-traversal", _FS, "path", 0, 2, built=True, text=re.compile(r"/[^/\0]*\0"), severity="medium"),
        CallRule("path-traversal", _is(r"^require$"), "path", 0, 2),
        CallRule(
            "ssrf",
            _is(
                r"^(fetch|axios|got|request|needle|superagent)(\.(get|post|put|delete|request|head|patch))?$|"
                r"^https?\.(get|request)$|^node_fetch$"
            ),
            "url",
            0,
            3,
        ),
        CallRule(
            "ssrf",
            _is(
                r"^(fetch|axios|got|request|needle|superagent)(\.(get|post|put|delete|head|patch))?$|"
                r"^https?\.(get|request)$"
            ),
            "url",
            0,
            2,
            severity="medium",
            confidence="low",
        ),
        CallRule("open-redirect", _is(r"^(res|response|reply|ctx)\.redirect$"), "redirect", -1, 3),
        CallRule("regex-injection", _is(r"^(new )?RegExp$"), "regex", 0, 3),
        CallRule(
            "ssti",
            _is(
                r"^(ejs\.(render|compile)|pug\.(render|compile)|handlebars\.compile|Handlebars\.compile|"
                r"nunjucks\.(renderString|compile)|_\.template|lodash\.template|Mustache\.render|"
                r"mustache\.render|doT\.template)$"
            ),
            "template",
            0,
            2,
        ),
        CallRule("deserialisation", _is(r"(^|\.)(unserialize|deserialize)$"), "deserialise", 0, 2),
        CallRule("mass-assignment", _is(r"^Object\.assign$"), "fields", 1, 3),
        CallRule("mass-assignment", _is(r"\.(create|insertMany|findByIdAndUpdate)$"), "fields", -1, 3, severity="low"),
        CallRule(
            "log-injection", _is(r"^(console|logger|log)\.(log|info|warn|error|debug)$"), "log", -1, 3, built=True
        ),
        CallRule(
            "xpath-injection",
            _is(r"^xpath\.(select|select1|evaluate)$|\.evaluate$"),
            "xpath",
            0,
            2,
            built=True,
            text=re.compile(r"^/|\[@"),
        ),
        CallRule("ldap-injection", _is(r"\.search$"), "ldap", -1, 2, built=True, text=re.compile(r"\(\w+=")),
        CallRule("header-injection", _is(r"^(res|response)\.(setHeader|header|set)$"), "header", 1, 3, severity="low"),
    ),
    assigns=(
        CallRule("xss", _is(r"\.(innerHTML|outerHTML|srcdoc)$"), "html", 0, 1),
        CallRule("open-redirect", _is(r"^(window\.|document\.)?location(\.href)?$"), "redirect", 0, 3),
    ),
    texts=(
        TextRule(
            "xss",
            frozenset({"jsx_attribute"}),
            _is(r"^dangerouslySetInnerHTML(?!.*(sanitize|escape|purify|DOMPurify))"),
            unless=_is(r"(?i)sanitize|purify"),
            confidence="medium",
        ),
        TextRule(
            "xss",
            _PAIR,
            _is(r"^['\"]?dangerouslySetInnerHTML"),
            unless=_is(r"(?i)sanitize|purify"),
            confidence="medium",
        ),
        TextRule(
            "tls-verification-off", _PAIR, _is(r"^['\"]?(rejectUnauthorized|strictSSL)['\"]?\s*:\s*(false|0|!1)$")
        ),
        TextRule(
            "tls-verification-off",
            frozenset({"assignment_expression"}),
            _is(r"NODE_TLS_REJECT_UNAUTHORIZED\W*\s*=\s*['\"]?0|\.rejectUnauthorized\s*=\s*false"),
        ),
        TextRule(
            "tls-verification-off", _PAIR, _is(r"^checkServerIdentity\s*:\s*\(\s*\)\s*=>\s*(undefined|null|\{\s*\})")
        ),
        TextRule(
            "weak-tls", _PAIR, _is(r"^(secureProtocol|minVersion)\s*:\s*['\"](TLSv1_method|TLSv1(\.1)?|SSLv\w+)['\"]")
        ),
        TextRule(
            "weak-hash", _CALLS, _is(r"^(crypto\.)?(createHash|createHmac)\(\s*['\"](md5|md4)['\"]"), severity="medium"
        ),
        TextRule("weak-hash", _CALLS, _is(r"^(crypto\.)?createHash\(\s*['\"]sha1['\"]"), severity="medium"),
        TextRule("weak-hash", _CALLS, _is(r"^(md5|CryptoJS\.(MD5|SHA1))\("), severity="medium"),
        TextRule(
            "fast-password-hash", _CALLS, _is(r"^(crypto\.)?createHash\(.*\)\.update\(\s*\w*[pP]assw"), severity="high"
        ),
        TextRule("weak-cipher", _CALLS, _is(r"^(crypto\.)?(createCipher|createDecipher)\(")),
        TextRule("weak-cipher", _CALLS, _is(r"^(crypto\.)?create(Cipher|Decipher)iv\(\s*['\"](des|rc4|bf|[\w-]*-ecb)")),
        TextRule(
            "static-iv",
            _CALLS,
            _is(r"^(crypto\.)?createCipheriv\([^,]+,[^,]+,\s*(Buffer\.(alloc\(\d+\)|from\(['\"])|['\"])"),
        ),
        TextRule("weak-random", _CALLS, _is(r"^Math\.random\("), near=SECRET),
        TextRule(
            "signature-unchecked", _CALLS, _is(r"^(jwt|jsonwebtoken)\.verify\(.*(algorithms\s*:\s*\[[^\]]*['\"]none)")
        ),
        TextRule(
            "signature-unchecked",
            _CALLS,
            _is(r"^(jwt|jsonwebtoken)\.decode\("),
            unless=_is(r"jwt\.verify\("),
            severity="medium",
            confidence="medium",
        ),
        TextRule("xxe", _PAIR, _is(r"^(noent|resolveExternals|processEntities|dtdload)\s*:\s*true$")),
        TextRule("insecure-cookie", _PAIR, _is(r"^(secure|httpOnly)\s*:\s*false$")),
        TextRule(
            "insecure-cookie",
            _CALLS,
            _is(r"^(res|response|reply)\.(cookie|setCookie)\((?!.*(httpOnly.*secure|secure.*httpOnly))"),
            unless=_is(r"httpOnly\s*:\s*true[\s\S]*secure\s*:|secure\s*:[\s\S]*httpOnly\s*:\s*true"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "cors-any",
            _CALLS,
            _is(r"^cors\(\s*\{(?=[\s\S]*origin\s*:\s*(['\"]\*|true))(?=[\s\S]*credentials\s*:\s*true)"),
        ),
        TextRule("cors-any", _CALLS, _is(r"Access-Control-Allow-Origin['\"]\s*,\s*req\."), severity="medium"),
        TextRule(
            "cors-any",
            _CALLS,
            _is(r"\.postMessage\([\s\S]*,\s*['\"]\*['\"]\s*\)$"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "prototype-pollution",
            frozenset({"for_in_statement"}),
            _is(
                r"^for\s*\(\s*(const|let|var)\s+(\w+)\s+(in|of)[\s\S]*\[\s*\2\s*\]\s*=\s*(\w*[mM]erge\w*|\w*[eE]xtend\w*|\w+\[)"
            ),
            unless=_is(r"__proto__|hasOwn|Object\.create\(null\)"),
            confidence="medium",
        ),
        TextRule(
            "prototype-pollution", _CALLS, _is(r"^(_|lodash)\.(merge|defaultsDeep|set)\([\s\S]*\breq\.(body|query)")
        ),
        TextRule(
            "timing-compare",
            frozenset({"binary_expression"}),
            _is(
                r"(?i)^[\w.\[\]'\"()]*(signature|hmac|digest|api_?key|csrf|secret|authToken|expectedToken|passwordHash|"
                r"storedHash)[\w.\[\]'\"()]*\s*[!=]==?\s*(?!null|undefined|['\"`]|true|false|\d)[\w.\[\]'\"()-]+$"
            ),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "timing-compare",
            frozenset({"binary_expression"}),
            _is(
                r"(?i)^(?!['\"`])[\w.\[\]'\"()-]+\s*[!=]==?\s*[\w.\[\]]*(signature|hmac|digest|api_?key|csrf|secret|"
                r"authToken|expectedToken|passwordHash|storedHash)\w*(\.digest\([^)]*\))?$"
            ),
            severity="medium",
            confidence="medium",
        ),
        TextRule("world-writable", _CALLS, _is(r"\.(chmod|chmodSync)\([^,]+,\s*(0o?777|0o?666|['\"]0?777)")),
        TextRule(
            "error-exposure",
            _CALLS,
            _is(r"^(res|response)\.(send|json|end)\(.*\b(err|error|e)\.stack\b"),
            severity="low",
        ),
        TextRule(
            "insecure-temp",
            frozenset({"string"}),
            _is(r"^['\"]/tmp/[\w.-]+['\"]$"),
            near=_is(r"write"),
            severity="medium",
            confidence="medium",
        ),
        TextRule(
            "secret-in-log",
            _CALLS,
            _is(
                r"^(console|logger|log)\.\w+\([^)]*\b(\w+\.)*(password|apiKey|secret|privateKey|"
                r"accessToken)\b(?!\s*\.length)[^)]*\)"
            ),
            severity="medium",
            confidence="medium",
        ),
    ),
    outside=re.compile(
        r"\b(req|request|ctx\.request|ctx|event|context\.req)\.(query|body|params|param|headers|cookies|url|originalUrl|path|"
        r"files?|rawBody|hostname|queryStringParameters|pathParameters|get)\b|\b(window\.|document\.)?location\."
        r"(search|hash|href)\b|\bdocument\.(URL|referrer|cookie)\b|\bwindow\.name\b|\bsearchParams\.get\(|\bevent\.data\b"
    ),
    cleaners=(
        (re.compile(r"(^|\.)(parseInt|parseFloat|Number|Boolean|BigInt|isNaN|randomUUID|randomBytes)$"), ("*",)),
        (re.compile(r"(^|\.)(encodeURIComponent|encodeURI)$"), ("html", "url", "redirect", "header", "log", "path")),
        (re.compile(r"(^|\.)String$"), ("nosql",)),
        (re.compile(r"^path\.basename$|sanitizeFilename|sanitize-filename"), ("path",)),
        (re.compile(r"JSON\.stringify$"), ("log", "header")),
        (re.compile(r"(?i)escapeRegExp|_\.escapeRegExp"), ("regex",)),
        (
            re.compile(
                r"(?i)(^|\.|_)(?!un)(sanitize|escape|purify|quote|clean|validate|safe|whitelist|allow|is_?valid|encode)\w*"
            ),
            ("*",),
        ),
    ),
    formats=re.compile(r"^util\.format$|^format$"),
    services=re.compile(
        r"^(req|request|res|response|ctx|context|next|db|pool|client|conn|connection|logger|app|fs|err|error|cb|"
        r"callback|done|resolve|reject|collection|event|reply)$"
    ),
)
