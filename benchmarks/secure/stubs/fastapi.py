"""As much of fastapi as the snippets use."""


class HTTPException(Exception):
    def __init__(self, status_code, detail=None):
        super().__init__(status_code, detail)
        self.status_code, self.detail = status_code, detail


class FastAPI:
    def get(self, *_, **__):
        return lambda view: view

    post = get
