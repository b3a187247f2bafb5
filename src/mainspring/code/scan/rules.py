"""Every class of fault that a rule may name: CWE, usual severity, what is wrong, what to do instead."""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.code.scan.finding import Draft

__all__ = ["RULES", "Rule", "draft"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One class of fault, in whatever language."""

    cwe: str | None
    severity: str
    message: str
    fix: str


RULES: dict[str, Rule] = {
    "sql-injection": Rule(
        "CWE-89", "high", "SQL is put together with a value", "pass the value as a parameter of the query"
    ),
    "command-injection": Rule(
        "CWE-78", "high", "a shell reads a value that is not constant", "give the arguments as a list, without a shell"
    ),
    "code-injection": Rule(
        "CWE-95", "high", "text that is not constant runs as code", "parse the text (ast.literal_eval, JSON.parse)"
    ),
    "unsafe-reflection": Rule(
        "CWE-470", "medium", "a value from outside chooses code to run", "look it up in a table of allowed names"
    ),
    "path-traversal": Rule(
        "CWE-22",
        "high",
        "a path is made of a value that may hold '..' or be absolute",
        "resolve it and check that it stays within the folder",
    ),
    "archive-extraction": Rule(
        "CWE-22",
        "high",
        "members of an archive may be written outside the folder",
        'give filter="data", or check every member\'s path',
    ),
    "ssrf": Rule(
        "CWE-918", "high", "a request goes to an address from outside", "check scheme and host against a list"
    ),
    "open-redirect": Rule(
        "CWE-601", "medium", "a redirect goes where a value from outside says", "allow own paths or listed hosts only"
    ),
    "xss": Rule(
        "CWE-79", "high", "a value gets into HTML without being escaped", "escape the value, or use a template"
    ),
    "autoescape-off": Rule("CWE-79", "medium", "templates do not escape values", "turn autoescape on"),
    "ssti": Rule(
        "CWE-1336", "high", "a template is made of a value from outside", "keep the template constant; pass the value"
    ),
    "xxe": Rule(
        "CWE-611",
        "high",
        "an XML parser may expand entities or fetch external ones",
        "use defusedxml, or turn DTDs and external entities off",
    ),
    "deserialisation": Rule(
        "CWE-502", "high", "data that is read back may run code", "use JSON, or a loader that makes plain data only"
    ),
    "weak-hash": Rule("CWE-328", "medium", "MD5 or SHA-1 is broken for security", "use SHA-256 or better"),
    "fast-password-hash": Rule(
        "CWE-916", "high", "a password is hashed by a fast function", "use scrypt, Argon2, bcrypt or PBKDF2"
    ),
    "static-salt": Rule("CWE-760", "medium", "the salt is constant", "make a random one for each password"),
    "weak-cipher": Rule("CWE-327", "high", "the cipher or its mode is broken", "use AES-GCM or ChaCha20-Poly1305"),
    "static-iv": Rule("CWE-329", "medium", "the IV or nonce is constant", "make a random one for each message"),
    "weak-key": Rule("CWE-326", "medium", "the key is too short", "use RSA of 3072 bits or an elliptic curve"),
    "weak-tls": Rule("CWE-327", "medium", "an old version of TLS is allowed", "allow TLS 1.2 and newer only"),
    "weak-random": Rule(
        "CWE-338", "high", "a secret comes from a predictable generator", "use a cryptographic generator (secrets)"
    ),
    "tls-verification-off": Rule(
        "CWE-295", "high", "certificates are not verified", "leave verification on; trust a CA file if needed"
    ),
    "host-key-unchecked": Rule(
        "CWE-295", "high", "unknown SSH host keys are accepted", "load known hosts; reject others"
    ),
    "signature-unchecked": Rule("CWE-347", "high", "a signature is not verified", "verify it, with a fixed algorithm"),
    "hardcoded-secret": Rule(
        "CWE-798", "high", "a secret is written in the code", "read it from the environment or a secret store"
    ),
    "timing-compare": Rule(
        "CWE-208", "medium", "a secret is compared in a time that tells about it", "use a constant-time comparison"
    ),
    "ldap-injection": Rule("CWE-90", "high", "an LDAP filter is put together with a value", "escape the value"),
    "xpath-injection": Rule("CWE-643", "high", "an XPath is put together with a value", "pass it as a variable"),
    "nosql-injection": Rule(
        "CWE-943", "high", "a value from outside may be a query operator", "turn it into a text or number first"
    ),
    "insecure-cookie": Rule(
        "CWE-614", "medium", "a cookie lacks secure or httponly", "set secure=True, httponly=True and samesite"
    ),
    "debug-on": Rule("CWE-489", "high", "a debugger may be reached from outside", "leave debug off in code"),
    "bind-all": Rule("CWE-605", "low", "it listens on every interface", "listen on 127.0.0.1, or make it a setting"),
    "world-writable": Rule("CWE-732", "high", "everybody may write it", "use 0o600 or 0o700"),
    "insecure-temp": Rule(
        "CWE-377", "medium", "the temporary name can be guessed", "use tempfile.mkstemp or NamedTemporaryFile"
    ),
    "redos": Rule(
        "CWE-1333", "medium", "the pattern can take exponential time", "remove the nested or overlapping repetition"
    ),
    "regex-injection": Rule("CWE-1333", "medium", "a pattern comes from outside", "escape it (re.escape)"),
    "log-injection": Rule("CWE-117", "low", "a value from outside may forge log lines", "log its repr (%r)"),
    "secret-in-log": Rule("CWE-532", "medium", "a secret is written to a log", "leave it out, or log a mask"),
    "mass-assignment": Rule(
        "CWE-915", "medium", "names from outside choose which fields are set", "copy listed fields only"
    ),
    "prototype-pollution": Rule(
        "CWE-1321", "medium", "names from outside may reach __proto__", "refuse __proto__, constructor and prototype"
    ),
    "csrf-off": Rule("CWE-352", "medium", "protection against forged requests is off", "leave it on"),
    "cors-any": Rule("CWE-942", "medium", "any site may read answers with credentials", "list the allowed origins"),
    "error-exposure": Rule("CWE-209", "low", "internals of an error go to the client", "log it; answer plainly"),
    "security-assert": Rule("CWE-617", "medium", "assert is removed by python -O", "raise an error"),
    "header-injection": Rule("CWE-113", "medium", "a value from outside gets into a header", "refuse line ends in it"),
    "cleartext-protocol": Rule("CWE-319", "medium", "the protocol does not encrypt", "use SSH, SFTP or TLS"),
    "format-string": Rule("CWE-134", "high", "the format is not constant", 'use a constant format such as "%s"'),
    "race-check": Rule("CWE-367", "low", "the file may change between check and use", "open it and handle the error"),
    "buffer-overflow": Rule("CWE-120", "high", "it writes without knowing the room", "use a form with a size"),
    "unchecked-length": Rule(
        "CWE-120", "high", "a length from outside is copied unchecked", "compare it with the room"
    ),
    "stack-allocation": Rule("CWE-770", "medium", "the stack holds as much as a value says", "use malloc with a bound"),
    "use-after-free": Rule("CWE-416", "high", "memory is used after it was freed", "set the pointer to NULL; order it"),
    "double-free": Rule("CWE-415", "high", "memory is freed twice", "set the pointer to NULL after free"),
    "integer-overflow": Rule(
        "CWE-190", "medium", "a product may overflow in an allocation", "use calloc, or check first"
    ),
    "unsafe-block": Rule("CWE-119", "medium", "the compiler does not check memory here", "use the safe form"),
    "bandit": Rule(None, "medium", "bandit reports it", "see bandit's documentation"),
}


def draft(
    rule: str,
    line: int,
    *,
    severity: str = "",
    confidence: str = "medium",
    message: str = "",
    fix: str = "",
    snippet: str = "",
) -> Draft:
    """A finding of a known class."""
    known = RULES[rule]
    return Draft(
        rule,
        known.cwe,
        severity or known.severity,
        confidence,
        line,
        message or known.message,
        fix or known.fix,
        snippet,
    )
