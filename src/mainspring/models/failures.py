"""A provider's failures as ModelError: whether to try again, when, and what a person has to do."""

from __future__ import annotations

from typing import Any

from pydantic_ai import exceptions as theirs

from mainspring.errors import ContextWindowError, ModelError
from mainspring.messages import valid_text

_RETRYABLE = frozenset({408, 409, 425, 429})


def as_model_error(error: Exception, name: str, check: str) -> ModelError:
    """The ModelError to raise for `error`.

    Args:
        error: what the provider's library raised.
        name: the model, as people call it.
        check: where its key comes from, in words.
    """
    if isinstance(error, ModelError):
        return error
    if isinstance(error, theirs.ModelHTTPError):
        return _from_status(error, name, check)
    wait = error.retry_after if isinstance(error, theirs.ModelAPIError) else None
    detail = _detail(error)
    if isinstance(error, theirs.ModelTimeoutError | theirs.ModelRequestTimeout | TimeoutError):
        return ModelError(f"{name} did not answer in time", retryable=True, retry_after_s=wait)
    if isinstance(error, theirs.ModelConnectionError):
        if error.phase == "read" or error.in_stream:
            return ModelError(f"the connection to {name} broke midway: {detail}", retryable=True)
        return ModelError(f"{name} cannot be reached: {detail}; check the address and the network", retryable=True)
    if isinstance(error, theirs.ModelQuotaExceededError | theirs.ModelRequestRejectedError):
        return ModelError(f"{name} refused the request: {detail}")
    if isinstance(error, theirs.UserError | NotImplementedError):
        return ModelError(f"{name} cannot take this request: {detail}")
    # What is left is an answer that nobody can read (no JSON, missing fields, a broken stream).
    return ModelError(f"{name} gave an unreadable answer: {detail}", retryable=True, retry_after_s=wait)


def _from_status(error: theirs.ModelHTTPError, name: str, check: str) -> ModelError:
    status, detail = error.status_code, _detail(error)
    said = f" ({detail})" if detail else ""

    def final(text: str) -> ModelError:
        return ModelError(text, status=status)

    if isinstance(error, theirs.ModelQuotaExceededError):
        return final(f"{name}: the account's quota or credit is used up{said}; top it up or use another model")
    if isinstance(error, theirs.ModelContextWindowExceededError):
        return ContextWindowError(f"{name}: the conversation is longer than its context window{said}", status=status)
    if status in (401, 403):
        return final(f"{name} refused the credentials (status {status}){said}; check {check}")
    if status == 404:
        near = f"; did you mean {error.suggested_model_id!r}?" if error.suggested_model_id else ""
        return final(f"{name}: no such model or address (status 404){said}{near}; check the model's name and URL")
    if (status in _RETRYABLE or status >= 500) and error.provider_retry_hint is not False:
        what = "is busy" if status in (429, 503, 529) else "failed"
        return ModelError(
            f"{name} {what} (status {status}){said}",
            retryable=True,
            retry_after_s=error.retry_after,
            status=status,
        )
    return final(f"{name} refused the request (status {status}){said}")


def _detail(error: Exception) -> str:
    """What the provider said, in one line of at most 300 characters."""
    text = ""
    if isinstance(error, theirs.ModelAPIError):
        text = _message_in(error.body)
    if not text and not isinstance(error, theirs.ModelHTTPError):
        text = str(error) or type(error).__name__
    text = valid_text(" ".join(text.split()))
    return text if len(text) <= 300 else text[:297] + "..."


def _message_in(body: Any) -> str:
    if isinstance(body, str):
        return body
    if isinstance(body, dict):
        for key in ("message", "error", "detail"):
            text = _message_in(body.get(key))
            if text:
                return text
    return ""
