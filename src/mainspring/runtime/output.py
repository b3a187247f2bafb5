"""The final answer: its type, the agent's own check, and what to tell the model when either fails."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from mainspring.agent import Agent
from mainspring.messages import Message

#: Final answers that may be rejected in a row before the run fails.
MAX_REJECTIONS = 5
#: How a complaint of the agent's own check begins.
CHECKED = "Your answer did not pass its check:"


class OutputType:
    """The declared type of the final answer, as a schema and a validator."""

    def __init__(self, declared: Any) -> None:
        from pydantic import TypeAdapter

        self._adapter: TypeAdapter[Any] = TypeAdapter(declared)
        self.schema: dict[str, Any] = self._adapter.json_schema()

    def order(self) -> str:
        """What the standing orders say about it."""
        return "Your final answer must be only JSON for this schema: " + json.dumps(self.schema, ensure_ascii=False)

    def parse(self, text: str) -> Any:
        """The typed value; raises ValueError with words for the model."""
        from pydantic import ValidationError

        try:
            return self._adapter.validate_json(_bare_json(text))
        except ValidationError as error:
            lines = [
                f"- {'.'.join(str(x) for x in e['loc']) or 'answer'}: {e['msg']}"
                for e in error.errors(include_url=False)[:8]
            ]
            raise ValueError("Your final answer does not fit its schema:\n" + "\n".join(lines)) from None

    def restore(self, value: Any) -> Any:
        """The typed value of what :meth:`dump` wrote."""
        return self._adapter.validate_python(value)

    def dump(self, value: Any) -> Any:
        """A typed value as JSON-ready data."""
        return self._adapter.dump_python(value, mode="json")


async def judge(message: Message, agent: Agent, output_type: OutputType | None, run: Any) -> tuple[Any, str | None]:
    """The output of a final answer, or None with the complaint that sends the model back to work."""
    text = message.text.strip()
    if message.finish == "length":
        return None, "Your answer was cut off at its length limit. Give it again, shorter."
    if not text:
        return None, "Your answer was empty. Call a tool, or give your final answer in words."
    output: Any = text
    if output_type is not None:
        try:
            output = output_type.parse(text)
        except ValueError as error:
            return None, str(error)
        try:
            json.dumps(output_type.dump(output), allow_nan=False)
        except ValueError as error:
            return None, f"Your final answer cannot be written down as JSON ({error}). Use neither NaN nor infinity."
    if agent.check is not None:
        complaint = agent.check(output, run)
        if inspect.isawaitable(complaint):
            complaint = await complaint
        if complaint:
            return None, f"{CHECKED} {complaint}"
    return output, None


def _bare_json(text: str) -> str:
    fence = re.search(r"```(?:json)?\s*\n(.*?)```", text, re.DOTALL)
    return (fence.group(1) if fence else text).strip()
