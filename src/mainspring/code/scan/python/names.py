"""Which names come from outside, make something safe, or only pass it on."""

from __future__ import annotations

import re

__all__ = [
    "CHECKS",
    "CLEANERS",
    "CLEANING_NAME",
    "FIELDS_OF_REQUEST",
    "HANDLER",
    "HARMLESS_TYPE",
    "OUTSIDE_CALLS",
    "SECRET_NAME",
    "SERVICE_NAME",
]

#: Attributes and methods of a request that its sender chose.
FIELDS_OF_REQUEST = frozenset(
    [
        "args",
        "form",
        "values",
        "json",
        "data",
        "files",
        "cookies",
        "headers",
        "GET",
        "POST",
        "COOKIES",
        "FILES",
        "META",
        "query",
        "query_params",
        "path_params",
        "body",
        "params",
        "match_info",
        "url",
        "path",
        "full_path",
        "query_string",
        "get_json",
        "get_data",
        "stream",
        "rel_url",
        "match_dict",
        "urlencode",
        "raw_body",
        "get_argument",
        "get_arguments",
        "get_body_argument",
        "get_query_argument",
        "arguments",
        "base_url",
        "referrer",
        "host",
    ]
)
#: Calls whose answer somebody else wrote: dotted name -> how far outside (2 the program's user, 3 the network).
OUTSIDE_CALLS = {
    "input": 2,
    "os.getenv": 2,
    "os.environ.get": 2,
    "sys.stdin.read": 2,
    "sys.stdin.readline": 2,
    "self.get_argument": 3,
    "self.get_query_argument": 3,
    "self.get_body_argument": 3,
    "self.rfile.read": 3,
    "self.rfile.readline": 3,
}
#: A decorator that makes a function an endpoint.
HANDLER = re.compile(
    r"(^|\.)(route|get|post|put|delete|patch|websocket|api_view|endpoint|expose|view_config|tool|on_event|message_handler)$"
)
#: Parameters that are services rather than data.
SERVICE_NAME = re.compile(
    r"^(self|cls|conn|connection|cursor|cur|db|database|session|engine|logger|log|app|client|ctx|context|pool|tx|"
    r"transaction|loop|executor|parser|config|settings|monkeypatch|tmp_path|capsys|caplog|mocker|response|resp|ldap|"
    r"ldap_conn|collection|store|cache|_.*)$"
)
#: Annotations whose values cannot carry an attack.
HARMLESS_TYPE = re.compile(
    r"^(int|float|bool|complex|date|datetime|timedelta|time|Decimal|UUID|Enum|Literal\[.*\]|IPv[46]Address)"
    r"(\s*\|\s*None)?$|^Optional\[(int|float|bool|UUID|Decimal|date|datetime)\]$|^(\w+\.)(datetime|date|UUID|Decimal)$"
)
#: Function -> what its answer is safe for.
CLEANERS: dict[str, tuple[str, ...]] = {
    "shlex.quote": ("shell",),
    "pipes.quote": ("shell",),
    "shlex.join": ("shell",),
    "subprocess.list2cmdline": ("shell",),
    "html.escape": ("html",),
    "markupsafe.escape": ("html",),
    "flask.escape": ("html",),
    "django.utils.html.escape": ("html",),
    "django.utils.html.conditional_escape": ("html",),
    "django.utils.html.format_html": ("html",),
    "django.utils.html.strip_tags": ("html",),
    "bleach.clean": ("html",),
    "nh3.clean": ("html",),
    "cgi.escape": ("html",),
    "xml.sax.saxutils.escape": ("html",),
    "xml.sax.saxutils.quoteattr": ("html",),
    "jinja2.escape": ("html",),
    "os.path.basename": ("path",),
    "ntpath.basename": ("path",),
    "werkzeug.utils.secure_filename": ("path",),
    "werkzeug.utils.safe_join": ("path",),
    "werkzeug.security.safe_join": ("path",),
    "flask.safe_join": ("path",),
    "django.utils._os.safe_join": ("path",),
    "urllib.parse.quote": ("url", "html", "header", "log", "path"),
    "urllib.parse.quote_plus": ("url", "html", "header", "log", "path"),
    "urllib.parse.urlencode": ("url", "html", "header", "log", "path"),
    "re.escape": ("regex",),
    "ldap.filter.escape_filter_chars": ("ldap",),
    "ldap.filter.filter_format": ("ldap",),
    "ldap.dn.escape_dn_chars": ("ldap",),
    "ldap3.utils.conv.escape_filter_chars": ("ldap",),
    "ldap3.utils.dn.escape_rdn": ("ldap",),
    "json.dumps": ("log", "header"),
    "repr": ("log", "header"),
    "ascii": ("log", "header"),
    "ast.literal_eval": (),
    "str": ("nosql",),
    "int": ("*",),
    "float": ("*",),
    "bool": ("*",),
    "len": ("*",),
    "ord": ("*",),
    "abs": ("*",),
    "round": ("*",),
    "hash": ("*",),
    "id": ("*",),
    "isinstance": ("*",),
    "hasattr": ("*",),
    "callable": ("*",),
    "range": ("*",),
    "type": ("*",),
    "uuid.UUID": ("*",),
    "uuid.uuid4": ("*",),
    "uuid.uuid1": ("*",),
    "decimal.Decimal": ("*",),
    "datetime.datetime.strptime": ("*",),
    "datetime.datetime.fromisoformat": ("*",),
    "datetime.date.fromisoformat": ("*",),
    "ipaddress.ip_address": ("*",),
    "ipaddress.ip_network": ("*",),
    "flask.url_for": ("*",),
    "url_for": ("*",),
    "django.urls.reverse": ("*",),
    "reverse": ("*",),
    "hmac.compare_digest": ("*",),
    "secrets.compare_digest": ("*",),
    "os.path.exists": ("*",),
    "os.path.isfile": ("*",),
    "os.path.getsize": ("*",),
    "psycopg2.sql.Identifier": ("sql",),
    "psycopg2.sql.Literal": ("sql",),
    "psycopg.sql.Identifier": ("sql",),
    "psycopg.sql.Literal": ("sql",),
    "connection.ops.quote_name": ("sql",),
}
#: A function of the project whose name says that it makes something safe or checks it.
CLEANING_NAME = re.compile(
    r"(?<!un)(?<!de)(escap|sanit|quote|clean|valid|safe|normali[sz]e_|allow|whitelist|permitted|slugif|neutrali|purify|"
    r"ensure|verify|contain|within|redact|mask|scrub)",
    re.I,
)
#: A function that answers whether something is fine, or raises when it is not.
CHECKS = re.compile(
    r"(valid|allow|safe|permit|check|verify|ensure|require|whitelist|trusted|within|inside|contained|known|is_relative_to)",
    re.I,
)
#: A name that holds a secret. A word for what surrounds one (a field, a URL, a length) does not.
SECRET_NAME = re.compile(
    r"(^|_|\b)(passw(or)?d|passphrase|pwd|secret|api_?key|apikey|token|auth_?key|access_?key|private_?key|credential|"
    r"secret_?key|client_?secret|signing_?key|encryption_?key|otp|nonce|salt|session_?(id|key)|csrf|reset_?(code|link)|"
    r"verification_?code|pin_?code|captcha|jwt|bearer|master_?key|hmac_?key)s?($|_|\b)",
    re.I,
)
