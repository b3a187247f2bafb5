"""Data read back, XML, files and their rights, settings, and secrets written in code."""

from __future__ import annotations

import ast
import re

from mainspring.code.scan.python.flow import Call, Function
from mainspring.code.scan.python.report import Sink
from mainspring.code.scan.python.values import GIVEN, UNKNOWN, Value

__all__ = ["assign", "call", "module"]

_PICKLES = re.compile(
    r"^(pickle|cPickle|_pickle|dill|cloudpickle|marshal|jsonpickle|shelve|pandas|joblib|compress_pickle)\.(load|loads|decode|"
    r"open|read_pickle|Unpickler)$|^sklearn\.externals\.joblib\.load$"
)
_SAFE_LOADERS = re.compile(r"SafeLoader|BaseLoader|Safe")
_XML = re.compile(
    r"^(xml\.etree\.(c?ElementTree)|xml\.dom\.(minidom|pulldom|expatbuilder)|xml\.sax|lxml\.(etree|objectify))\."
    r"(parse|fromstring|XML|iterparse|parseString|XMLPullParser|fromstringlist|make_parser)$"
)
_EVERY = frozenset({"0.0.0.0", "::", ""})
_AUTH_WORD = re.compile(
    r"is_admin|is_staff|is_superuser|is_authenticated|has_perm|authoriz|authoris|permission|is_owner|"
    r"logged_in|check_auth|\brole\b|current_user",
    re.I,
)
_SETTINGS_OFF = {
    "SESSION_COOKIE_SECURE": "insecure-cookie",
    "SESSION_COOKIE_HTTPONLY": "insecure-cookie",
    "CSRF_COOKIE_SECURE": "insecure-cookie",
    "WTF_CSRF_ENABLED": "csrf-off",
    "WTF_CSRF_CHECK_DEFAULT": "csrf-off",
    "CSRF_ENABLED": "csrf-off",
}


def call(at: Call, sink: Sink) -> None:
    """Look at one call."""
    _read_back(at, sink)
    _xml(at, sink)
    _rights(at, sink)
    _temporary(at, sink)
    _service(at, sink)


def _read_back(at: Call, sink: Sink) -> None:
    name = at.name
    data = at.value(0, "file", "data", "f", "stream", "filename", "string", "filepath_or_buffer")
    first = at.expression(0, "data", "file", "f", "stream")
    if _PICKLES.match(name):
        if name == "shelve.open" and (data is None or data.level < GIVEN):
            return
        if isinstance(first, ast.Call) and re.search(r"(pickle|dill|marshal)\.dumps$", ast.unparse(first.func)[:60]):
            return  # a copy of our own object
        if data is None or data.safe("deserialise") or sink.testing:
            return
        severity = "high" if data.level >= GIVEN else "medium"
        sink.risky("deserialisation", at.node, data, "deserialise", UNKNOWN, severity=severity, confidence="high")
    elif name in ("yaml.load", "yaml.load_all", "ruamel.yaml.load"):
        loader = at.expression(1, "Loader")
        if (loader is None or not _SAFE_LOADERS.search(ast.unparse(loader))) and (data is None or not data.literal):
            sink.add("deserialisation", at.node, confidence="high", fix="use yaml.safe_load")
    elif name in ("yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all"):
        sink.add("deserialisation", at.node, confidence="high", fix="use yaml.safe_load")
    elif name == "torch.load":
        flag = at.expression(-1, "weights_only")
        if flag is None or (isinstance(flag, ast.Constant) and not flag.value):
            sink.add("deserialisation", at.node, severity="medium", fix="give weights_only=True")
    elif name in ("numpy.load", "np.load"):
        flag = at.expression(-1, "allow_pickle")
        if isinstance(flag, ast.Constant) and flag.value is True:
            sink.add("deserialisation", at.node, severity="medium", fix="leave allow_pickle out")


def _xml(at: Call, sink: Sink) -> None:
    name = at.name
    if name == "lxml.etree.XMLParser":
        for keyword in at.node.keywords:
            risky = (keyword.arg in ("resolve_entities", "load_dtd", "huge_tree") and _is(keyword.value, True)) or (
                keyword.arg == "no_network" and _is(keyword.value, False)
            )
            if risky:
                severity = "medium" if keyword.arg in ("huge_tree", "load_dtd") else "high"
                sink.add("xxe", at.node, confidence="high", severity=severity)
                return
        return
    if at.method == "setFeature" and len(at.node.args) > 1:
        if "external" in ast.unparse(at.node.args[0]) and not _falsy(at.node.args[1]):
            sink.add("xxe", at.node, confidence="high")
        return
    if not _XML.match(name):
        return
    data = at.value(0, "source", "text", "string", "file")
    if data is None or data.risk("xml") < GIVEN or sink.testing:
        return
    if at.expression(1 if name.startswith("lxml") else -1, "parser") is not None and not name.startswith("xml.sax"):
        return
    severe = "high" if name.startswith(("lxml", "xml.sax", "xml.dom.pulldom")) else "medium"
    sink.risky("xxe", at.node, data, "xml", severity=severe)


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _says(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _falsy(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _rights(at: Call, sink: Sink) -> None:
    mode: object = None
    place = {"os.chmod": 1, "os.fchmod": 1, "os.lchmod": 1, "os.mkfifo": 1, "os.open": 2}
    if at.name in place:
        mode = at.literal(place[at.name], "mode")
        expression = at.expression(place[at.name], "mode")
    elif at.method == "chmod" and at.name.count("."):
        mode, expression = at.literal(0, "mode"), at.expression(0, "mode")
    elif at.name == "os.umask":
        if at.literal(0) == 0 and at.node.args:
            sink.add("world-writable", at.node, severity="medium", message="new files may be written by everybody")
        return
    else:
        return
    if at.name == "os.open" and mode == 0o666:
        return  # what open() does: the umask takes it down
    if isinstance(mode, int) and not isinstance(mode, bool) and mode & 0o002:
        sink.add("world-writable", at.node, confidence="high", message=f"{mode:#o} lets everybody write")
    elif expression is not None and re.search(r"S_IWOTH|S_IRWXO", ast.unparse(expression)):
        sink.add("world-writable", at.node, confidence="high")


def _temporary(at: Call, sink: Sink) -> None:
    if at.name in ("tempfile.mktemp", "os.tempnam", "os.tmpnam"):
        sink.add("insecure-temp", at.node, confidence="high")
    elif at.name in ("open", "io.open", "os.open", "codecs.open") and at.args and not sink.testing:
        path, mode = at.args[0], at.literal(1, "mode")
        if path.prefix.startswith(("/tmp/", "/var/tmp/", "/dev/shm/")) and "path" not in path.clean:  # noqa: SIM102
            if isinstance(mode, str) and re.search("[wax+]", mode) and "x" not in mode:
                sink.add("insecure-temp", at.node, message="a file with a known name in a folder that all may write")
    elif at.name == "os.access" and at.function.node is not None and "open(" in ast.unparse(at.function.node):
        sink.add("race-check", at.node)


def _service(at: Call, sink: Sink) -> None:
    if sink.testing:
        return
    if at.method in ("run", "run_simple", "run_app") and _is_not_subprocess(at):
        if _is(at.expression(-1, "debug", "use_debugger") or ast.Constant(None), True):
            sink.add("debug-on", at.node, confidence="high")
        if at.literal(-1, "host") in ("0.0.0.0", "::"):
            sink.add("bind-all", at.node)
    elif at.method in ("bind", "HTTPServer", "TCPServer", "ThreadingHTTPServer", "UDPServer", "serve", "create_server"):
        first = at.expression(0, "server_address", "address", "sockaddr")
        host = first.elts[0] if isinstance(first, ast.Tuple) and first.elts else at.expression(-1, "host")
        if isinstance(host, ast.Constant) and host.value in _EVERY and isinstance(host.value, str):
            sink.add("bind-all", at.node)
    elif at.method in ("CORS", "add_middleware", "cross_origin", "CORSMiddleware"):
        text = ast.unparse(at.node)[:800].replace('"', "'")
        any_site = re.search(r"(allow_origins|origins|resources)=[^)]*'\*'", text) or "allow_origin_regex='.*'" in text
        if any_site and re.search(r"(allow_credentials|supports_credentials)=True", text):
            sink.add("cors-any", at.node, confidence="high")


def _is_not_subprocess(at: Call) -> bool:
    return not at.name.startswith(("subprocess", "asyncio"))


def assign(target: str, value: Value, node: ast.AST, source: ast.expr, function: Function, sink: Sink) -> None:
    """A setting that is turned off or on."""
    last = re.split(r"[.\[]", target)[-1].strip("]'\"")
    if sink.testing:
        return
    if last in _SETTINGS_OFF and _is(source, False):
        sink.add(_SETTINGS_OFF[last], node, confidence="high", message=f"{last} is off", fix=f"set {last} = True")
    elif last == "DEBUG" and _is(source, True) and function.node is None:
        sink.add("debug-on", node, severity="medium")
    elif last == "debug" and target.startswith("app.") and _is(source, True):
        sink.add("debug-on", node)
    elif last == "Access-Control-Allow-Origin" and not isinstance(source, ast.Constant):
        sink.risky("cors-any", node, value, "origin", 3, message="any origin is echoed")
    elif (("headers[" in target and "req" not in target) or "response[" in target.lower()) and value.risk(
        "header"
    ) == 3:
        sink.risky("header-injection", node, value, "header", 3)


def module(tree: ast.Module, sink: Sink) -> None:
    """What needs no data flow: asserts, decorators and how pages are made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and not sink.testing and _AUTH_WORD.search(ast.unparse(node.test)[:300]):
            sink.add("security-assert", node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if ast.unparse(decorator)[:60].endswith("csrf_exempt") or ast.unparse(decorator)[:60] == "csrf.exempt":
                    sink.add("csrf-off", decorator, confidence="high")
        elif isinstance(node, ast.ClassDef) and not sink.testing:
            for part in node.body:
                if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
                    name = part.targets[0].id
                    if name == "fields" and node.name == "Meta" and _says(part.value, "__all__"):
                        sink.add("mass-assignment", part, severity="low")
