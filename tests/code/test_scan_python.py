"""Each class of fault in Python is found, and its clean twin is not."""

# ruff: noqa: E501 - a fault beside its twin is read best on one line

from __future__ import annotations

import pytest

from mainspring.code.scan.files import scan_bytes
from mainspring.code.scan.finding import Finding, ScanSettings

FLASK = "from flask import request, redirect, render_template_string, make_response\n"

#: Rule, the fault, its clean twin.
TWINS: list[tuple[str, str, str]] = [
    ("sql-injection", "def f(c, n):\n    c.execute(f\"SELECT * FROM t WHERE n = '{n}'\")", "def f(c, n):\n    c.execute('SELECT * FROM t WHERE n = ?', (n,))"),
    ("sql-injection", "def f(conn, n):\n    q = 'SELECT * FROM t WHERE n = ' + n\n    conn.execute(q)", "def f(conn, n: int):\n    q = f'SELECT * FROM t LIMIT {n}'\n    conn.execute(q)"),
    ("sql-injection", "def f(conn, n):\n    conn.execute('DELETE FROM t WHERE n = %s' % n)", "def f(conn, ids):\n    m = ','.join('?' for _ in ids)\n    conn.execute(f'DELETE FROM t WHERE n IN ({m})', ids)"),
    ("sql-injection", "def f(conn, c):\n    conn.execute('SELECT * FROM t ORDER BY {}'.format(c))", "OK = {'a', 'b'}\ndef f(conn, c):\n    if c not in OK:\n        raise ValueError(c)\n    conn.execute('SELECT * FROM t ORDER BY {}'.format(c))"),
    ("sql-injection", "def q(n):\n    return \"SELECT a FROM t WHERE n='\" + n + \"'\"\ndef f(conn, n):\n    conn.execute(q(n))", "C = {'a': 'x'}\ndef f(conn, n):\n    conn.execute('SELECT * FROM t ORDER BY ' + C.get(n, 'x'))"),
    ("command-injection", "import os\ndef f(h):\n    os.system('ping ' + h)", "import os, shlex\ndef f(h):\n    os.system('ping ' + shlex.quote(h))"),
    ("command-injection", "import subprocess\ndef f(h):\n    subprocess.run(f'ping {h}', shell=True)", "import subprocess\ndef f(h):\n    subprocess.run(['ping', h])"),
    ("command-injection", "import subprocess as s\ndef f(h):\n    s.check_output(['bash', '-c', 'ping ' + h])", "import subprocess as s\ndef f(h):\n    s.check_output(['bash', '-c', 'ping \"$1\"', 'x', h])"),
    ("code-injection", "def f(t):\n    return eval(t)", "import ast\ndef f(t):\n    return ast.literal_eval(t)"),
    ("path-traversal", "import os\ndef f(n):\n    return open(os.path.join('/srv', n)).read()", "import os\ndef f(n):\n    return open(os.path.join('/srv', os.path.basename(n))).read()"),
    ("path-traversal", "from pathlib import Path\nB = Path('/srv')\ndef f(n):\n    return (B / n).read_text()", "from pathlib import Path\nB = Path('/srv').resolve()\ndef f(n):\n    p = (B / n).resolve()\n    if not p.is_relative_to(B):\n        raise ValueError\n    return p.read_text()"),
    ("path-traversal", "import os\ndef f(n):\n    p = os.path.join('/srv', n)\n    if not p.startswith('/srv'):\n        raise ValueError\n    return open(p)", "import os\ndef f(n):\n    b = os.path.realpath('/srv')\n    p = os.path.realpath(os.path.join(b, n))\n    if os.path.commonpath([b, p]) != b:\n        raise ValueError\n    return open(p)"),
    ("path-traversal", FLASK + "@app.route('/')\ndef f():\n    return open(request.args['f']).read()", FLASK + "@app.route('/')\ndef f():\n    return open('/srv/a').read()"),
    ("archive-extraction", "import tarfile\ndef f(a, d):\n    with tarfile.open(a) as t:\n        t.extractall(d)", "import tarfile\ndef f(a, d):\n    with tarfile.open(a) as t:\n        t.extractall(d, filter='data')"),
    ("ssrf", "import requests\n" + FLASK + "@app.get('/')\ndef f():\n    return requests.get(request.args['u']).text", "import requests\nfrom urllib.parse import urlparse\nOK = {'a.example'}\n" + FLASK + "@app.get('/')\ndef f():\n    u = request.args['u']\n    if urlparse(u).hostname not in OK:\n        raise ValueError\n    return requests.get(u).text"),
    ("ssrf", "import requests\ndef f(url):\n    return requests.get(url)", "import requests\ndef f(n):\n    return requests.get(f'https://api.example.com/{n}')"),
    ("open-redirect", FLASK + "@app.route('/')\ndef f():\n    return redirect(request.args.get('next'))", FLASK + "@app.route('/')\ndef f():\n    t = request.args.get('next', '/')\n    if not t.startswith('/') or t.startswith('//'):\n        t = '/'\n    return redirect(t)"),
    (
        "open-redirect",
        FLASK + "@app.route('/')\ndef f():\n    t = request.args.get('n', '/')\n    if not t:\n        t = '/'\n    return redirect(t)",
        "from urllib.parse import urlparse\n" + FLASK + "@app.route('/')\ndef f():\n    t = request.args.get('n', '/')\n    if urlparse(t).netloc:\n        t = '/'\n    return redirect(t)",
    ),
    ("xss", FLASK + "@app.route('/')\ndef f():\n    return f\"<h1>{request.args['n']}</h1>\"", "import html\n" + FLASK + "@app.route('/')\ndef f():\n    return f\"<h1>{html.escape(request.args['n'])}</h1>\""),
    ("xss", "from markupsafe import Markup\ndef f(n):\n    return Markup('<b>' + n + '</b>')", "from markupsafe import Markup\ndef f(n):\n    return Markup('<b>{}</b>').format(n)"),
    ("ssti", "from jinja2 import Template\ndef f(n):\n    return Template('hi ' + n).render()", "from jinja2 import Template\ndef f(n):\n    return Template('hi {{ n }}').render(n=n)"),
    ("xxe", "from lxml import etree\ndef f(d):\n    return etree.fromstring(d, etree.XMLParser(resolve_entities=True))", "from lxml import etree\ndef f(d):\n    return etree.fromstring(d, etree.XMLParser(resolve_entities=False))"),
    ("xxe", "import xml.sax\ndef f(d, h):\n    xml.sax.parseString(d, h)", "import defusedxml.sax\ndef f(d, h):\n    defusedxml.sax.parseString(d, h)"),
    ("deserialisation", "import pickle\ndef f(d):\n    return pickle.loads(d)", "import json\ndef f(d):\n    return json.loads(d)"),
    ("deserialisation", "import yaml\ndef f(d):\n    return yaml.load(d, Loader=yaml.Loader)", "import yaml\ndef f(d):\n    return yaml.load(d, Loader=yaml.SafeLoader)"),
    ("weak-hash", "import hashlib\ndef sign(token):\n    return hashlib.md5(token).hexdigest()", "import hashlib\ndef sign(token):\n    return hashlib.sha256(token).hexdigest()"),
    ("fast-password-hash", "import hashlib\ndef f(password):\n    return hashlib.sha256(password.encode())", "import hashlib, os\ndef f(password):\n    return hashlib.scrypt(password.encode(), salt=os.urandom(16), n=2**14, r=8, p=1)"),
    ("weak-random", "import random\ndef f():\n    token = random.randint(0, 9)\n    return token", "import secrets\ndef f():\n    token = secrets.token_hex(16)\n    return token"),
    ("weak-cipher", "from Crypto.Cipher import DES\ndef f(k, d):\n    return DES.new(k, DES.MODE_ECB).encrypt(d)", "from Crypto.Cipher import AES\ndef f(k, d):\n    return AES.new(k, AES.MODE_GCM).encrypt(d)"),
    ("tls-verification-off", "import requests\ndef f():\n    requests.get('https://a.example', verify=False)", "import requests\ndef f():\n    requests.get('https://a.example', verify='/ca.pem')"),
    ("timing-compare", "import hmac\ndef f(k, m, s):\n    e = hmac.new(k, m, 'sha256').hexdigest()\n    return e == s", "import hmac\ndef f(k, m, s):\n    e = hmac.new(k, m, 'sha256').hexdigest()\n    return hmac.compare_digest(e, s)"),
    ("ldap-injection", "def f(conn, n):\n    conn.search('dc=x', f'(uid={n})')", "from ldap3.utils.conv import escape_filter_chars as e\ndef f(conn, n):\n    conn.search('dc=x', f'(uid={e(n)})')"),
    ("nosql-injection", FLASK + "@app.post('/')\ndef f():\n    return users.find_one({'n': request.json['n']})", FLASK + "@app.post('/')\ndef f():\n    return users.find_one({'n': str(request.json['n'])})"),
    ("insecure-cookie", "def f(r, v):\n    r.set_cookie('session', v)", "def f(r, v):\n    r.set_cookie('session', v, secure=True, httponly=True)"),
    ("debug-on", "def f(app):\n    app.run(debug=True)", "def f(app):\n    app.run(debug=False)"),
    ("bind-all", "import socket\ns = socket.socket()\ns.bind(('0.0.0.0', 80))", "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 80))"),
    ("world-writable", "import os\ndef f(p):\n    os.chmod(p, 0o777)", "import os\ndef f(p):\n    os.chmod(p, 0o700)"),
    ("insecure-temp", "import tempfile\np = tempfile.mktemp()", "import tempfile\nf, p = tempfile.mkstemp()"),
    ("redos", "import re\nP = re.compile(r'^(a+)+$')", "import re\nP = re.compile(r'^([a-z]+[.])*[a-z]+$')"),
    ("log-injection", "import logging\n" + FLASK + "@app.get('/')\ndef f():\n    logging.info('user ' + request.args['u'])", "import logging\n" + FLASK + "@app.get('/')\ndef f():\n    logging.info('user %s', repr(request.args['u']))"),
    ("mass-assignment", "def f(user, data):\n    for k, v in data.items():\n        setattr(user, k, v)", "OK = {'name'}\ndef f(user, data):\n    for k, v in data.items():\n        if k in OK:\n            setattr(user, k, v)"),
    ("hardcoded-secret", "DB_PASSWORD = 'Tr0ub4dor-3x'", "import os\nDB_PASSWORD = os.environ['DB_PASSWORD']"),
    ("hardcoded-secret", "URL = 'postgres://bob:s3cr3tpw@db.internal/x'", "URL = 'postgres://bob:${PASSWORD}@db.internal/x'"),
    ("csrf-off", "@csrf_exempt\ndef f(request):\n    pass", "@csrf_protect\ndef f(request):\n    pass"),
]  # fmt: skip


def found(text: str, path: str = "app.py") -> list[Finding]:
    return scan_bytes(path, text.encode(), ScanSettings()).findings


@pytest.mark.parametrize(("rule", "fault", "clean"), TWINS, ids=[f"{n}-{t[0]}" for n, t in enumerate(TWINS)])
def test_the_fault_is_found_and_its_twin_is_clean(rule: str, fault: str, clean: str) -> None:
    assert rule in {one.rule for one in found(fault)}
    assert [one for one in found(clean) if one.severity != "low"] == []


def test_a_finding_says_what_and_where() -> None:
    (one,) = found("import os\n\ndef f(h):\n    os.system('ping ' + h)\n")
    assert (one.rule, one.cwe, one.severity, one.line) == ("command-injection", "CWE-78", "high", 4)
    assert one.snippet == "os.system('ping ' + h)"
    assert one.fix
    assert one.introduced


def test_the_id_stays_when_lines_move_and_changes_with_the_line() -> None:
    one = found("import os\ndef f(h):\n    os.system('ping ' + h)\n")[0]
    moved = found("import os\n\n# a remark\n\n\ndef f(h):\n        os.system('ping '  +  h)\n")[0]
    other = found("import os\ndef f(h):\n    os.system('host ' + h)\n")[0]
    assert one.id == moved.id != other.id


def test_two_alike_have_ids_of_their_own() -> None:
    both = found("import os\ndef f(h):\n    os.system('ping ' + h)\n    os.system('ping ' + h)\n")
    assert len({one.id for one in both}) == 2


def test_test_code_is_read_less_strictly() -> None:
    text = "import hashlib, pickle\ndef test_a(token):\n    assert hashlib.md5(token) and pickle.loads(token)\n"
    assert found(text)
    assert found(text, "tests/test_a.py") == []


def test_bandit_finds_what_no_own_rule_names() -> None:
    text = "import ssl\ndef f(v=ssl.PROTOCOL_SSLv3):\n    return v\n"
    assert {one.rule for one in found(text)} == {"weak-tls"}
    assert scan_bytes("app.py", text.encode(), ScanSettings(bandit=False)).findings == []
