"""Paths, addresses, pages, cookies: values that leave the program or choose what it reaches."""

from __future__ import annotations

import ast
import re

from mainspring.code.scan.python.flow import Call, Function
from mainspring.code.scan.python.report import Sink
from mainspring.code.scan.python.values import CONSTANT, GIVEN, HOLE, OUTSIDE, Value

__all__ = ["call", "returns"]

_PATH_CALLS = {
    "open": 0,
    "io.open": 0,
    "os.open": 0,
    "codecs.open": 0,
    "aiofiles.open": 0,
    "os.remove": 0,
    "os.unlink": 0,
    "os.rmdir": 0,
    "os.listdir": 0,
    "os.mkdir": 0,
    "os.makedirs": 0,
    "os.scandir": 0,
    "shutil.rmtree": 0,
    "shutil.copy": 1,
    "shutil.copyfile": 1,
    "shutil.move": 1,
    "os.rename": 1,
    "os.replace": 1,
    "flask.send_file": 0,
    "send_file": 0,
    "fastapi.responses.FileResponse": 0,
    "starlette.responses.FileResponse": 0,
    "FileResponse": 0,
    "aiohttp.web.FileResponse": 0,
    "tarfile.open": 0,
    "zipfile.ZipFile": 0,
    "gzip.open": 0,
    "django.http.FileResponse": 0,
    "bottle.static_file": 9,
    "shutil.copytree": 1,
    "shutil.copy2": 1,
}
_PATH_METHODS = frozenset(
    [
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "open",
        "unlink",
        "rmdir",
        "mkdir",
        "touch",
        "iterdir",
        "rename",
        "save",
    ]
)
_CHOSEN = re.compile(
    r"^(user|requested|upload|untrusted|remote|client)|file_?name|^f?name$|rel(ative)?_?path|^(member|entry|slug|"
    r"attachment|avatar|document|page|report|template_name)$",
    re.I,
)
_FETCH = re.compile(
    r"^(requests|httpx|httpx2|aiohttp|urllib3|niquests)\.(.*\.)?(get|post|put|delete|patch|head|options|request|stream|"
    r"urlopen)$|^(requests\.Session|requests\.session|httpx\.Client|httpx\.AsyncClient|aiohttp\.ClientSession|"
    r"urllib3\.PoolManager)\(\)\.(get|post|put|delete|patch|head|request|stream|urlopen)$|"
    r"^urllib\.request\.(urlopen|urlretrieve|Request)$|^urllib2?\.urlopen$|^http\.client\.HTTPS?Connection$|"
    r"^pycurl\.|^websockets?\.(connect|create_connection)$|^socket\.create_connection$"
)
_HOST_FIXED = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\0]+/", re.I)
_REDIRECT = re.compile(
    r"(^|\.)(redirect|HttpResponseRedirect|HttpResponsePermanentRedirect|RedirectResponse|HTTPFound|"
    r"HTTPSeeOther|HTTPMovedPermanently)$"
)
_NEXT = re.compile(r"(next|url|return|redirect|target|dest|goto|continue|callback|location|uri|link|href|back)", re.I)
_DATA = re.compile(r"data|json|body|payload|params|form|request|fields|values|attrs|update|patch|kwargs|input", re.I)
_PAGE = re.compile(
    r"<\s*/?\s*(html|body|head|title|p|div|span|a|h[1-6]|ul|ol|li|td|tr|th|table|b|i|em|strong|br|hr|img|input|form|option|"
    r"select|button|textarea|script|style|pre|code|section|article|nav|label|iframe|svg|small|blockquote|main|meta)\b[^<]*",
    re.I,
)
_RESPONSES = re.compile(
    r"(^|\.)(HttpResponse|HTMLResponse|make_response|Response|HttpResponseBadRequest|HttpResponseNotFound)$"
)
_SESSION_COOKIE = re.compile(r"(sess|sid|token|auth|jwt|csrf|login|remember|user)", re.I)


def call(at: Call, sink: Sink) -> None:
    """Look at one call."""
    _paths(at, sink)
    _archives(at, sink)
    _addresses(at, sink)
    _pages(at, sink)
    _cookies(at, sink)
    _logs(at, sink)
    _fields(at, sink)


def _paths(at: Call, sink: Sink) -> None:
    place = _PATH_CALLS.get(at.name)
    if place is not None:
        path = at.value(place, "file", "path", "path_or_file", "filename", "name", "dst")
    elif at.method in _PATH_METHODS and at.name.count("."):
        if at.method == "save":
            path = at.value(0, "dst")
        elif "Path" in at.receiver.kind or "pathlib" in at.name:
            path = at.receiver
        else:
            return
    else:
        return
    if path is None or path.risk("path") == CONSTANT:
        return
    joined = HOLE in path.text and re.search(r"[/\\][^/\\\0]*\0", path.text) is not None
    if path.level == OUTSIDE and (path.risk("path") == OUTSIDE):
        sink.risky("path-traversal", at.node, path, "path", OUTSIDE)
    elif path.risk("path") >= GIVEN and joined:
        if path.prefix == "":
            # Folder and name are both parameters: only a name that sounds like somebody else's choice is told.
            if not at.function.name.startswith("_") and any(_CHOSEN.search(name) for name in path.origins):
                sink.risky("path-traversal", at.node, path, "path", severity="medium", confidence="low")
        else:
            sink.risky("path-traversal", at.node, path, "path", severity="medium", confidence="medium")


def _archives(at: Call, sink: Sink) -> None:
    method = at.method
    if method not in ("extractall", "extract", "unpack_archive"):
        return
    if method == "unpack_archive":
        if "filter" not in at.keywords and at.name == "shutil.unpack_archive":
            sink.risky("archive-extraction", at.node, at.value(0, "filename"), "path", severity="medium")
        return
    spelled = (at.name + " " + at.receiver.kind + " " + ast.unparse(at.node.func)[:100]).lower()
    if "zip" in spelled and "tar" not in spelled:
        return  # zipfile strips absolute paths and ".." itself
    if "tar" not in spelled and "archive" not in spelled and at.receiver.kind != "<member>":
        return
    chosen = at.expression(-1, "filter")
    if chosen is not None:
        if isinstance(chosen, ast.Constant) and chosen.value == "fully_trusted":
            sink.add("archive-extraction", at.node, confidence="high")
        return
    members = at.expression(1 if method == "extractall" else 0, "members", "member")
    if isinstance(members, ast.Call) or (
        isinstance(members, ast.Name) and re.search(r"safe|check|valid|allow", members.id)
    ):
        return
    value = at.value(1 if method == "extractall" else 0, "members", "member")
    if "members" in at.receiver.clean or (value is not None and {"members", "path", "*"} & value.clean):
        return
    sink.add("archive-extraction", at.node, confidence="high")


def _addresses(at: Call, sink: Sink) -> None:
    if _REDIRECT.search(at.name):
        target = at.value(0, "location", "url", "redirect_to", "to")
        if target is None or target.safe("redirect") or target.safe("url") or _HOST_FIXED.match(target.text):
            return
        if target.text.startswith("/") and not target.text.startswith(("//", "/" + HOLE)):
            return
        if target.level == OUTSIDE and not (target.built and target.prefix.startswith("/")):
            sink.risky("open-redirect", at.node, target, "redirect", OUTSIDE)
        elif target.level == GIVEN and not target.built and any(_NEXT.search(name) for name in target.origins):
            sink.risky("open-redirect", at.node, target, "redirect", GIVEN)
        return
    if not _FETCH.search(at.name):
        return
    place = 1 if at.method in ("request", "stream") and len(at.args) > 1 else 0
    url = at.value(place, "url", "fullurl", "host", "uri")
    if url is None or url.safe("url") or _HOST_FIXED.match(url.text):
        return
    if url.level == OUTSIDE:
        if not url.built or url.prefix in ("", "http://", "https://", "//"):
            sink.risky("ssrf", at.node, url, "url", OUTSIDE)
    elif url.level == GIVEN and at.name.count("()") == 0:
        whole = not url.built and not url.text
        if whole or url.prefix in ("http://", "https://"):
            sink.risky("ssrf", at.node, url, "url", severity="medium", confidence="low" if whole else "medium")


def _pages(at: Call, sink: Sink) -> None:
    name, method = at.name, at.method
    first = at.value(0, "object", "s", "content", "data")
    if method in ("Markup", "mark_safe", "SafeString", "SafeText") or name.endswith(("Markup", "mark_safe")):
        text = first
        if text is not None and text.risk("html") > CONSTANT:
            sink.risky("xss", at.node, text, "html", confidence="high")
    elif method == "format_html" and first is not None and first.built:
        sink.risky("xss", at.node, first, "html")
    elif _RESPONSES.search(name) and first is not None and "json" not in ast.unparse(at.node)[:500].lower():
        if "text/plain" not in ast.unparse(at.node)[:500] and (first.built or first.level == OUTSIDE):
            markup = _PAGE.search(first.text) or (first.level == OUTSIDE and method != "Response")
            if markup:
                sink.risky("xss", at.node, first, "html")
    elif method == "write" and first is not None and first.built and _PAGE.search(first.text):
        sink.risky("xss", at.node, first, "html", OUTSIDE if "wfile" not in name else GIVEN)
    elif name in ("jinja2.Environment", "jinja2.sandbox.SandboxedEnvironment", "Environment"):
        chosen = at.expression(-1, "autoescape")
        off = isinstance(chosen, ast.Constant) and not chosen.value
        if name != "Environment" and (chosen is None or off):
            sink.add("autoescape-off", at.node, confidence="high" if off else "medium")
    elif name == "mako.template.Template" and "default_filters" not in at.keywords:
        sink.add("autoescape-off", at.node, confidence="low")


def returns(value: Value, node: ast.Return, function: Function, sink: Sink) -> None:
    """A page that a function returns."""
    if value.built and value.risk("html") >= GIVEN and _PAGE.search(value.text.split(HOLE, 1)[0]):
        strong = function.handler and value.level == OUTSIDE
        sink.risky(
            "xss", node, value, "html", severity="high" if strong else "medium", confidence="high" if strong else "low"
        )
    elif function.handler and value.level == OUTSIDE and value.built and value.risk("html") == OUTSIDE:  # noqa: SIM102
        if isinstance(node.value, ast.JoinedStr | ast.BinOp) and not _is_api(function):
            sink.risky("xss", node, value, "html", OUTSIDE, severity="medium", confidence="low")
    if function.handler and node.value is not None:
        text = ast.unparse(node.value)[:2000]
        if "traceback.format_exc" in text:
            sink.add("error-exposure", node, severity="medium")


def _is_api(function: Function) -> bool:
    """Whether what the endpoint returns is made JSON by its framework."""
    node = function.node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return isinstance(node, ast.AsyncFunctionDef) or any("app.route" not in ast.unparse(d) for d in node.decorator_list)


def _cookies(at: Call, sink: Sink) -> None:
    # A jar of a client takes a cookie as one object.
    if at.method not in ("set_cookie", "set_signed_cookie") or len(at.args) + len(at.keywords) < 2:
        return
    missing = [flag for flag in ("secure", "httponly") if not _truthy(at.expression(-1, flag))]
    if not missing:
        return
    name = at.literal(0, "key", "name")
    explicit = any(isinstance(at.expression(-1, flag), ast.Constant) for flag in missing)
    sensitive = explicit or (isinstance(name, str) and _SESSION_COOKIE.search(name) is not None)
    sink.add(
        "insecure-cookie",
        at.node,
        severity="medium" if sensitive else "low",
        message=f"a cookie is set without {' and '.join(missing)}",
        fix=f"add {', '.join(flag + '=True' for flag in missing)}",
    )


def _truthy(node: ast.expr | None) -> bool:
    return node is not None and not (isinstance(node, ast.Constant) and not node.value)


def _logs(at: Call, sink: Sink) -> None:
    logs = at.method in ("debug", "info", "warning", "warn", "error", "critical", "exception", "log") and re.search(
        r"(^|\.|_)(log|logger|logging|getLogger\(\)|app\.logger|LOG|_log)\.?", at.name
    )
    if not logs and at.name != "print":
        return
    for value, node in zip(at.args, at.node.args, strict=False):
        if logs and value.risk("log") == OUTSIDE and (value.built or value is not at.args[0] or value.level == OUTSIDE):
            sink.risky("log-injection", at.node, value, "log", OUTSIDE)
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                break
            last = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
            if re.fullmatch(
                r"(\w+_)?(password|passwd|passphrase|secret|secret_key|api_key|apikey|private_key|access_token|auth_token|"
                r"credit_card|card_number|cvv|ssn|client_secret|refresh_token)",
                last,
                re.I,
            ):
                sink.add("secret-in-log", at.node, message=f"{last} is written to a log")
                return


def _fields(at: Call, sink: Sink) -> None:
    if at.name == "setattr" and len(at.args) > 1:
        name = at.args[1]
        loop = isinstance(at.node.args[1], ast.Name)
        if loop and name.level >= GIVEN and any(_DATA.search(origin) for origin in name.origins):
            sink.risky("mass-assignment", at.node, name, "fields")
    elif at.method == "update" and at.name.endswith("__dict__.update"):
        given = at.value(0)
        if given is not None and (given.level == OUTSIDE or any(_DATA.search(name) for name in given.origins)):
            sink.risky("mass-assignment", at.node, given, "fields")
    elif ("**" in at.keywords and at.keywords["**"].level == OUTSIDE and at.method[:1].isupper()) or (
        at.method in ("create", "update", "filter_by", "objects.create") and "**" in at.keywords
    ):
        sink.risky("mass-assignment", at.node, at.keywords["**"], "fields", OUTSIDE)
