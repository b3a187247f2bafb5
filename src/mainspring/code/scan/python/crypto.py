"""Hashes, ciphers, random numbers, certificates and comparisons."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from mainspring.code.scan.python.flow import Call, Function
from mainspring.code.scan.python.names import SECRET_NAME
from mainspring.code.scan.python.report import Sink
from mainspring.code.scan.python.values import UNKNOWN, Value

__all__ = ["assign", "call", "compare"]

_PASSWORD = re.compile(r"passw|passphrase|(^|\b|_)(pwd?|pw)(\b|_|$)", re.I)
_SECURITY = re.compile(
    r"passw|pwd|secret|token|auth|sign|hmac|mac\b|cred|session|api_?key|nonce|salt|otp|cookie|csrf|login|user|"
    r"verify|account|licen[sc]e|cert|integrity|tamper",
    re.I,
)
_BROKEN = frozenset({"md5", "sha1", "md4", "md2", "sha", "ripemd160"})
_RANDOM = re.compile(
    r"^(numpy\.random|random|np\.random)\.(random|randint|choice|choices|randrange|getrandbits|sample|uniform|shuffle|"
    r"randbytes|rand|Random\(\)\.\w+|integers|bytes)$"
)
_TOKEN_WORDS = re.compile(
    SECRET_NAME.pattern.replace(
        "(^|_|\\b)(", "(^|_|\\b)(key|iv|temp_?pass|invite_?code|voucher|activation|one_?time|", 1
    ),
    re.I,
)
_STRONG = re.compile(
    r"signature|hmac|(^|_)sig$|(^|_)mac$|secret|api_?key|csrf|auth_?token|access_?token|session_?(token|id)|"
    r"reset_?token|webhook|passw(or)?d_?hash|hashed_?pass|stored_?hash|passw(or)?d|passphrase|otp",
    re.I,
)
_TOKEN_PAIR = re.compile(
    r"expected|stored|secret|valid|actual|correct|provided|supplied|given|config|settings|header|"
    r"request|real|computed|received",
    re.I,
)
_OLD_TLS = frozenset(
    [
        "PROTOCOL_SSLv2",
        "PROTOCOL_SSLv3",
        "PROTOCOL_TLSv1",
        "PROTOCOL_TLSv1_1",
        "SSLv2_METHOD",
        "SSLv3_METHOD",
        "TLSv1_METHOD",
        "TLSv1_1_METHOD",
    ]
)


def call(at: Call, sink: Sink) -> None:
    """Look at one call."""
    _hashes(at, sink)
    _ciphers(at, sink)
    _certificates(at, sink)
    _generators(at, sink)
    _tokens(at, sink)


def _around(at: Call) -> str:
    """What surrounds a call: the function's name, and the call's own text."""
    return f"{at.function.name} {ast.unparse(at.node)[:300]}"


def _hashes(at: Call, sink: Sink) -> None:
    name, method = at.name, at.method
    if not (name.startswith(("hashlib.", "Crypto.Hash.", "Cryptodome.Hash.")) or "hazmat.primitives.hashes" in name):
        if name in ("hmac.new", "hmac.digest"):
            digest = at.expression(2, "digestmod", "digest")
            if digest is not None and re.search(r"\bmd5\b", ast.unparse(digest).lower()):
                sink.add("weak-hash", at.node, severity="medium", message="HMAC with MD5")
        return
    if method == "pbkdf2_hmac":
        rounds = at.literal(3, "iterations")
        if isinstance(rounds, int) and rounds < 100_000:
            sink.add("fast-password-hash", at.node, severity="medium", message=f"only {rounds} rounds of PBKDF2")
        if isinstance(at.expression(2, "salt"), ast.Constant):
            sink.add("static-salt", at.node)
        return
    if method == "scrypt":
        if isinstance(at.expression(-1, "salt"), ast.Constant):
            sink.add("static-salt", at.node)
        return
    algorithm = method.lower()
    text = at.expression(0, "data", "string")
    if method == "new":
        given = at.literal(0, "name")
        algorithm = str(given).lower() if given else name.split(".")[-2].lower()
        text = at.expression(1, "data", "string") if name.startswith("hashlib.") else text
    algorithm = algorithm.replace("-", "")
    flag = at.expression(-1, "usedforsecurity")
    harmless = isinstance(flag, ast.Constant) and not flag.value
    names = " ".join(sorted(_origins(at)))
    password = text is not None and (_PASSWORD.search(ast.unparse(text)[:300]) or _PASSWORD.search(names))
    if algorithm in _BROKEN:
        if harmless or sink.testing:
            return
        security = password or _SECURITY.search(_around(at)) or _SECURITY.search(names)
        sink.add(
            "weak-hash",
            at.node,
            severity="high" if password else "medium" if security else "low",
            confidence="high" if security else "low",
            message=f"{algorithm.upper()} is broken for security",
            fix="use SHA-256; for passwords scrypt; for plain checksums say usedforsecurity=False",
        )
    elif algorithm.startswith(("sha", "blake")) and password and not sink.testing:  # noqa: SIM102
        if not re.search(r"hibp|pwned|breach|fingerprint", _around(at), re.I):
            sink.add("fast-password-hash", at.node)


def _origins(at: Call) -> frozenset[str]:
    return frozenset().union(*(value.origins for value in (*at.args, *at.keywords.values())))


def _ciphers(at: Call, sink: Sink) -> None:
    name = at.name
    text = ast.unparse(at.node)[:400]
    if re.search(r"(Crypto|Cryptodome)\.Cipher\.(DES3?|ARC2|ARC4|Blowfish|CAST|XOR)\.new$", name):
        sink.add("weak-cipher", at.node, message=f"{name.split('.')[-2]} is broken", confidence="high")
    elif re.search(
        r"ciphers\.algorithms\.(ARC4|Blowfish|IDEA|CAST5|SEED|TripleDES)$|^algorithms\.(ARC4|Blowfish|IDEA|CAST5|"
        r"SEED|TripleDES)$",
        name,
    ):
        sink.add("weak-cipher", at.node, message=f"{name.rsplit('.', 1)[-1]} is broken", confidence="high")
    elif re.search(r"(^|\.)modes\.ECB$", name):
        sink.add("weak-cipher", at.node, message="ECB shows which blocks are equal", confidence="high")
    elif re.search(r"Cipher\.\w+\.new$", name):
        if "MODE_ECB" in text:
            sink.add("weak-cipher", at.node, message="ECB shows which blocks are equal", confidence="high")
        for value, node in zip(at.args[2:], at.node.args[2:], strict=False):
            _iv(at, sink, value, node)
        for keyword in at.node.keywords:
            if keyword.arg in ("iv", "IV", "nonce"):
                _iv(at, sink, at.keywords[keyword.arg], keyword.value)
    elif re.search(r"(^|\.)modes\.(CBC|CTR|GCM|CFB|OFB)$", name) and at.args:
        _iv(at, sink, at.args[0], at.node.args[0])
    elif at.method == "generate_private_key" or re.search(r"(RSA|DSA)\.generate$", name):
        bits = at.literal(1 if at.method == "generate_private_key" and "dsa" not in name else 0, "key_size", "bits")
        if isinstance(bits, int) and not isinstance(bits, bool) and 0 < bits < 2048 and "ec." not in name:
            sink.add("weak-key", at.node, message=f"a key of {bits} bits is too short", confidence="high")


def _iv(at: Call, sink: Sink, value: Value, node: ast.expr) -> None:
    fixed = isinstance(node, ast.Constant) and isinstance(node.value, bytes)
    repeated = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)
    if fixed or (repeated and value.level < UNKNOWN) or (isinstance(node, ast.Name) and value.literal):
        sink.add("static-iv", at.node)


def _certificates(at: Call, sink: Sink) -> None:
    name = at.name
    for keyword in at.node.keywords:
        off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if (
            keyword.arg in ("verify", "verify_ssl", "ssl_verify", "validate_certs", "check_hostname", "verify_certs")
            and off
        ):
            if not name.startswith(("jwt.", "jose.")):
                sink.add("tls-verification-off", keyword.value, confidence="high")
        elif keyword.arg == "ssl" and off and re.search(r"aiohttp|session|get|post|request|TCPConnector", name):
            sink.add("tls-verification-off", keyword.value)
        elif keyword.arg == "cert_reqs" and "CERT_NONE" in ast.unparse(keyword.value):
            sink.add("tls-verification-off", keyword.value, confidence="high")
        elif keyword.arg in ("ssl_version", "minimum_version", "method", "protocol") or name == "ssl.SSLContext":  # noqa: SIM102
            if ast.unparse(keyword.value).rsplit(".", 1)[-1] in _OLD_TLS:
                sink.add("weak-tls", keyword.value, confidence="high")
    if name in ("ssl._create_unverified_context", "ssl._create_stdlib_context"):
        sink.add("tls-verification-off", at.node, confidence="high")
    elif name == "ssl.wrap_socket":
        if at.expression(-1, "cert_reqs") is None:
            sink.add("tls-verification-off", at.node)
    elif name == "ssl.SSLContext" and at.node.args and ast.unparse(at.node.args[0]).rsplit(".", 1)[-1] in _OLD_TLS:
        sink.add("weak-tls", at.node, confidence="high")
    elif at.method == "set_missing_host_key_policy" and at.node.args:
        if re.search(r"AutoAddPolicy|WarningPolicy", ast.unparse(at.node.args[0])):
            sink.add("host-key-unchecked", at.node, confidence="high")
    elif at.method == "disable_warnings" and "urllib3" in name:
        sink.add("tls-verification-off", at.node, severity="low", confidence="low", message="warnings of TLS are off")
    elif name in ("telnetlib.Telnet", "ftplib.FTP"):
        sink.add("cleartext-protocol", at.node, message=f"{name} does not encrypt")


def _generators(at: Call, sink: Sink) -> None:
    if not _RANDOM.match(at.name) or sink.testing:
        return
    # The name that the number gets is told by `assign`; here the function that makes it.
    if _TOKEN_WORDS.search(at.function.name):
        sink.add("weak-random", at.node, confidence="high")
    elif at.method in ("choice", "choices", "sample") and re.search(
        r"ascii_letters|hexdigits|ascii_uppercase.*digits|"
        r"ALPHABET|CHARS",
        ast.unparse(at.node)[:300],
    ):
        sink.add("weak-random", at.node, severity="medium", confidence="low")


def _tokens(at: Call, sink: Sink) -> None:
    if not (at.name.startswith(("jwt.", "jose.jwt.")) and at.method == "decode"):
        return
    text = ast.unparse(at.node)[:600].replace('"', "'").lower()
    if re.search(r"verify=false|'verify_signature': false|algorithms=\[[^]]*'none'", text):
        sink.add("signature-unchecked", at.node, confidence="high")


def compare(node: ast.Compare, values: Sequence[Value], function: Function, sink: Sink) -> None:
    """A secret compared with ``==``, which stops at the first difference."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq) or sink.testing:
        return
    sides = (node.left, node.comparators[0])
    if any(isinstance(side, ast.Constant | ast.List | ast.Tuple | ast.Dict) for side in sides):
        return
    if any(
        value.literal or ("*" in value.clean and not value.kind.startswith(("hashlib", "hmac"))) for value in values
    ):
        return
    texts = [_last(side) for side in sides]
    if any(text in ("len", "type", "kind", "__class__", "status_code") for text in texts):
        return
    if any(re.search(r"confirm|repeat|again|password2|new_?pass|old_?pass|retype", text, re.I) for text in texts):
        return
    mac = any(value.kind.startswith(("hmac.", "hmac")) for value in values) or any(
        "hmac." in ast.unparse(s)[:200] for s in sides
    )
    hashed = any(_PASSWORD.search(name) for value in values for name in value.origins) and any(
        value.kind.startswith("hashlib") for value in values
    )
    strong = any(_STRONG.search(text) for text in texts)
    pair = any("token" in text.lower() for text in texts) and any(
        _TOKEN_PAIR.search(text) or _TOKEN_PAIR.search(ast.unparse(side)[:100])
        for text, side in zip(texts, sides, strict=True)
    )
    if mac or hashed or strong or pair:
        sink.add("timing-compare", node, confidence="high" if mac else "medium", fix="use hmac.compare_digest(a, b)")


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return str(node.slice.value) if isinstance(node.slice, ast.Constant) else _last(node.value)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in (
            "hexdigest",
            "digest",
            "encode",
            "decode",
            "strip",
        ):
            return _last(node.func.value) or "digest"
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.func, ast.Attribute):
            return str(node.args[0].value)
        return "?"
    return "?"


def assign(target: str, value: Value, node: ast.AST, source: ast.expr, function: Function, sink: Sink) -> None:
    """A value that got a name which tells what it is for."""
    last = re.split(r"[.\[]", target)[-1].strip("]'\"")
    if not sink.testing and _TOKEN_WORDS.search(last):
        for part in ast.walk(source):
            if isinstance(part, ast.Call) and _is_random(part):
                sink.add("weak-random", part, confidence="high")
    if (
        (last in ("verify", "check_hostname") and isinstance(source, ast.Constant) and source.value is False)
        or (last == "verify_mode" and "CERT_NONE" in ast.unparse(source)[:100])
        or (last == "_create_default_https_context" and "unverified" in ast.unparse(source)[:100])
    ):
        sink.add("tls-verification-off", node, confidence="high")
    elif last == "minimum_version" and re.search(r"TLSv1(_1)?$|SSLv[23]$", ast.unparse(source)[:100]):
        sink.add("weak-tls", node, confidence="high")


def _is_random(node: ast.Call) -> bool:
    text = ast.unparse(node.func)[:100]
    return re.match(r"(random|np\.random|numpy\.random)\.(?!SystemRandom)\w+", text) is not None
