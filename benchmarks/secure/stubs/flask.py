"""As much of flask as the snippets use: views are called directly, the request is set by the test."""

from helpers import text
from jinja2 import Environment
from markupsafe import Markup, escape

__all__ = ["Markup", "escape"]


class Aborted(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Request:
    def __init__(self):
        self.args, self.form, self.cookies, self.headers, self.payload, self.data = {}, {}, {}, {}, {}, b""

    @property
    def json(self):
        return self.payload

    def get_json(self, **_):
        return self.payload


request = Request()
session = {}


class Response:
    def __init__(self, body="", status=200, mimetype="text/html", headers=None, **_):
        self.body, self.status_code, self.mimetype, self.headers = body, status, mimetype, dict(headers or {})
        self.cookies, self.json, self.location = {}, None, None

    def set_cookie(self, name, value="", **options):
        self.cookies[name] = value, options


class Flask:
    def __init__(self, name, **_):
        self.name, self.config, self.ran = name, {}, {}

    def route(self, *_, **__):
        return lambda view: view

    get = post = route

    def run(self, **options):
        self.ran = options


def abort(code, *_, **__):
    raise Aborted(code)


def jsonify(*items, **fields):
    answer = Response(mimetype="application/json")
    answer.json = fields or (items[0] if len(items) == 1 else list(items))
    return answer


def make_response(body="", status=200):
    return body if isinstance(body, Response) else Response(body, status)


def redirect(location, code=302):
    answer = Response(status=code)
    answer.location = location
    return answer


def url_for(name, **_):
    return "/" + name


def send_file(path, **_):
    with open(path, "rb") as stream:
        return stream.read()


def send_from_directory(folder, name, **_):
    from pathlib import Path

    root = Path(folder).resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise Aborted(404)
    return path.read_bytes()


def render_template_string(source, **values):
    return Response(text(Environment(autoescape=True).from_string(source).render(**values)))
