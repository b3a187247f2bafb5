"""Models by name: the embedded one, every hosted provider, and any OpenAI-compatible server.

Nothing heavy is imported here; a provider's libraries load when one of its models is first asked for.
"""

from __future__ import annotations

import sys
import threading

from mainspring.errors import ModelError
from mainspring.model import Model

_resolved: dict[str, Model] = {}
_lock = threading.Lock()


def resolve(name: str) -> Model:
    """The model called `name`; the same object for the same name within a process.

    Names:
        - ``"local"``, ``"local:1.5b"``, ``"local:/path/model.gguf"``: the embedded engine.
        - ``"anthropic:claude-sonnet-4-5"``, ``"openai:gpt-5"`` ...: a hosted provider; its key comes from
          the environment.
        - ``"openai:MODEL@http://host:8000/v1"`` or ``"http://host:8000/v1#MODEL"``: any server that speaks
          OpenAI's chat completions.
        - ``"anthropic:MODEL@URL"``, ``"openai-responses:MODEL@URL"``: a server that speaks those protocols.

    Raises:
        ModelError: the name is not understood, its provider is unknown or not installed, or its key is
            missing; never retryable, so a list of models goes on to its next one.
    """
    if not isinstance(name, str) or not name.strip():
        raise ModelError(f"{name!r} is no model name; use 'local', 'provider:model' or 'http://host/v1#model'")
    name = name.strip()
    with _lock:
        model = _resolved.get(name)
        if model is None:
            model = _resolved[name] = _make(name)
        return model


async def close_connections() -> None:
    """Close what hosted models opened on the running event loop; the next call on any loop opens anew.

    For whoever ends an event loop. The embedded engine is no connection and stays.
    """
    hosted = sys.modules.get("mainspring.models.hosted")
    if hosted is None:
        return
    with _lock:
        models = list(_resolved.values())
    for model in models:
        if isinstance(model, hosted.HostedModel):
            await hosted.HostedModel.aclose(model)


def _make(name: str) -> Model:
    if name == "local" or name.startswith("local:"):
        from mainspring.models.local.names import resolve_local

        return resolve_local(name)
    from mainspring.models.hosted import HostedModel

    return HostedModel.from_name(name)
