"""Answers that only remember."""


class HttpResponse:
    def __init__(self, content="", status=200, **_):
        self.body, self.status_code, self.cookies = content, status, {}

    def set_cookie(self, name, value="", **options):
        self.cookies[name] = value, options


class JsonResponse(HttpResponse):
    def __init__(self, data, **options):
        super().__init__(**options)
        self.data = data


class HttpResponseRedirect(HttpResponse):
    def __init__(self, url):
        super().__init__(status=302)
        self.url = url
