"""Every error that Mainspring raises on purpose.

Each message says what was wrong, with which value, and what to do about it, so that the command line can
print it without a traceback.
"""

from __future__ import annotations


class MainspringError(Exception):
    """Base of all errors below; catching it never hides a bug in Mainspring itself."""


class DeclarationError(MainspringError):
    """An agent, tool or limit was declared wrongly (a wrong type, an unknown effect, a name used twice)."""


class StoreError(MainspringError):
    """The journal could not be read or written (full disk, read-only folder, damaged file)."""


class JournalVersionError(StoreError):
    """The journal was written by a newer Mainspring than this one."""


class RunNotFoundError(StoreError):
    """No run has this id in this home."""


class LeaseLostError(StoreError):
    """Another owner holds the run, or took it over: nothing more may be appended under the old epoch."""


class RunBusyError(LeaseLostError):
    """The run is being executed by a living process."""


class ApprovalError(StoreError):
    """An approval is unknown, expired, already answered or already used."""


class ModelError(MainspringError):
    """A model call failed.

    Args:
        message: what happened, fit for a person.
        retryable: True when the same request may succeed later (timeouts, 429, 5xx, a broken stream).
        retry_after_s: seconds the provider asked us to wait, when it said so.
        status: HTTP status, when there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.status = status


class ContextWindowError(ModelError):
    """The prompt is longer than the model's context window; the loop folds the context and tries again."""


class ToolError(MainspringError):
    """Raise it inside a tool to answer the model with a plain error instead of a crash report."""


class SandboxError(ToolError):
    """The sandbox cannot be set up; without it no command runs."""
