"""What a call spent: tokens as the provider counted them, dollars from genai-prices' bundled table.

The table is read from the installed package; nothing is fetched over the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainspring.messages import Usage

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


def usage_of(response: ModelResponse) -> Usage:
    """Usage of one answer; `usd` is None when the provider, the model or the token counts are unknown."""
    spent = response.usage
    return Usage(
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cache_read_tokens=spent.cache_read_tokens,
        cache_write_tokens=spent.cache_write_tokens,
        calls=1,
        usd=_dollars(response),
    )


def _dollars(response: ModelResponse) -> float | None:
    if response.usage.cost is not None:
        return float(response.usage.cost)  # a gateway said it itself
    if not response.model_name or not (response.usage.input_tokens or response.usage.output_tokens):
        return None
    try:
        return float(response.cost().total_price)
    except (LookupError, ValueError, AssertionError):
        return None
