"""From a model's name to one of pydantic-ai's model objects: which provider, which address, which key."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mainspring.errors import ModelError

if TYPE_CHECKING:
    from pydantic_ai.models import Model as ProviderModel

_URL = re.compile(r"https?://", re.IGNORECASE)
_AT_URL = re.compile(r"@(?=https?://)", re.IGNORECASE)
_ENVIRONMENT = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`")
#: Extras that Mainspring itself offers; other providers install theirs from pydantic-ai.
_EXTRAS = {
    "google": "google",
    "google-cloud": "google",
    "groq": "groq",
    "mistral": "mistral",
    "bedrock": "bedrock",
}
#: Protocols that other servers speak too, so that a name may carry their address.
_WITH_URL = ("openai", "openai-chat", "openai-responses", "anthropic")


@dataclass(frozen=True, slots=True)
class Address:
    """A model's name taken apart. `provider` is ``""`` for the form ``URL#MODEL``."""

    name: str
    provider: str
    model: str
    url: str | None = None


def parse(name: str) -> Address:
    """Take a model's name apart. Raises ModelError when it fits none of the forms."""
    if _URL.match(name):
        url, _, model = name.rpartition("#")
        if not url or not model:
            raise ModelError(f"model {name!r} has an address but no model; write it as 'http://host:port/v1#MODEL'")
        return Address(name, "", model, _checked_url(name, url))
    provider, colon, rest = name.partition(":")
    if not colon or not provider or not rest:
        raise ModelError(f"model {name!r} names no provider; write 'provider:model' or 'local'{_suggestion(name)}")
    model, *url_part = _AT_URL.split(rest, maxsplit=1)
    if not url_part:
        return Address(name, provider, model)
    if provider not in _WITH_URL:
        raise ModelError(
            f"model {name!r}: an address can follow only {', '.join(_WITH_URL)}; "
            "for an OpenAI-compatible server write 'openai:MODEL@URL'"
        )
    if not model:
        raise ModelError(f"model {name!r} has an address but no model; write 'openai:MODEL@URL'")
    return Address(name, provider, model, _checked_url(name, url_part[0]))


def build(address: Address) -> ProviderModel:
    """Make pydantic-ai's model object.

    Raises:
        ModelError: unknown provider, missing package or missing key; the message says what to do.
    """
    from pydantic_ai.exceptions import UserError

    try:
        if address.url is not None:
            return _at_url(address, address.url)
        elsewhere = os.environ.get("OPENAI_BASE_URL", "")
        if address.provider == "openai" and elsewhere and not _is_openai(elsewhere):
            return _at_url(address, _checked_url("OPENAI_BASE_URL", elsewhere))
        from pydantic_ai.models import infer_model

        return infer_model(f"{address.provider}:{address.model}")
    except ImportError as error:
        raise ModelError(
            f"model {address.name!r} needs a package that is not installed: run {_install(address.provider)}"
        ) from error
    except UserError as error:
        raise ModelError(_usage_message(address, str(error))) from error
    except ValueError as error:
        raise ModelError(f"model {address.name!r} cannot be used: {error}") from error


def credentials(provider: str, url: str | None = None) -> str:
    """Where the key of a provider comes from, in words, for the error when it is refused."""
    if provider.startswith("bedrock"):
        return "the AWS credentials"
    own = f"the environment variable {host_key_name(url)}" if url is not None else ""
    usual = f"the environment variable {_provider_key(provider)}" if provider else ""
    return " or ".join(filter(None, (own, usual)))


def host_key_name(url: str) -> str:
    """The environment variable that holds the key of the server at `url` (its host in capitals)."""
    return "MAINSPRING_KEY_" + re.sub(r"[^A-Z0-9]", "_", (urlsplit(url).hostname or "").upper())


def _at_url(address: Address, url: str) -> ProviderModel:
    key = _key(address.provider, url)
    if address.provider == "anthropic":
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        # The SDK adds /v1 itself, and insists on a key even where the server wants none.
        base = url.removesuffix("/v1")
        return AnthropicModel(address.model, provider=AnthropicProvider(base_url=base, api_key=key or "no-key-needed"))
    if address.provider == "openai-responses":
        from pydantic_ai.models.openai import OpenAIResponsesModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIResponsesModel(
            address.model, provider=OpenAIProvider(base_url=url, api_key=key or "no-key-needed")
        )
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    provider = OpenAICompatibleProvider(urlsplit(url).netloc, base_url=url, api_key=key)
    # Without a finish reason nobody can tell an answer that ended from a server that died while writing it.
    profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    model = OpenAIChatModel(address.model, provider=provider, profile=profile)
    if model.profile.get("supports_thinking", False):
        return model
    # Every server knows `max_tokens`; only OpenAI's own thinking models refuse it for the longer name.
    profile["openai_chat_supports_max_completion_tokens"] = False
    return OpenAIChatModel(address.model, provider=provider, profile=profile)


def _key(provider: str, url: str) -> str | None:
    """The key for a server at `url`: its own, or the provider's, but never in clear over a network."""
    own = os.environ.get(host_key_name(url))
    if own:
        return own
    if provider and (urlsplit(url).scheme == "https" or is_loopback(url)):
        return os.environ.get(_provider_key(provider))
    return None


def _provider_key(provider: str) -> str:
    return f"{provider.split('-')[0].upper()}_API_KEY"


def is_loopback(url: str) -> bool:
    """True when `url` points at this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_openai(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "openai.com" or host.endswith(".openai.com")


def _checked_url(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError as error:
        raise ModelError(f"model {name!r}: {url!r} is no address ({error})") from None
    if not host:
        raise ModelError(f"model {name!r}: {url!r} has no host; write 'http://host:port/v1'")
    if user is not None or parts.query:
        # Names are journaled and shown; a key must not be in one.
        raise ModelError(
            f"a model's address must not hold a user, a key or a query; put the key of {host} "
            f"into the environment variable {host_key_name(url)}"
        )
    return url.rstrip("/")


def _install(provider: str) -> str:
    extra = _EXTRAS.get(provider)
    if extra is not None:
        return f"pip install 'mainspring[{extra}]'"
    return f"pip install 'pydantic-ai-slim[{provider}]'"


def _usage_message(address: Address, text: str) -> str:
    if text.startswith("Unknown model"):
        return (
            f"model {address.name!r}: the provider {address.provider!r} is unknown"
            f"{_suggestion(address.name)}; an OpenAI-compatible server is 'openai:MODEL@URL'"
        )
    variables = list(dict.fromkeys(_ENVIRONMENT.findall(text)))
    if variables:
        return f"model {address.name!r} is not set up: set the environment variable {' or '.join(variables)}"
    return f"model {address.name!r} cannot be used: {text}"


def _suggestion(name: str) -> str:
    from pydantic_ai.models import known_model_names

    known = [known for known in known_model_names() if known.count(":") == 1 and "/" not in known]
    provider, colon, model = name.partition(":")
    if colon:
        close = difflib.get_close_matches(provider, {known.split(":")[0] for known in known}, n=1)
        near = f"{close[0]}:{model}" if close else ""
    else:
        near = next((known for known in known if known.split(":")[1] == name), "")
    return f" (did you mean {near!r}?)" if near else ""
