"""smolagents' ToolCallingAgent, which keeps its state in memory only, in the loop benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smolagents import LogLevel, Model, ToolCallingAgent, tool
from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction, MessageRole

from benchmarks.peers.workload import INSTRUCTIONS, TASK, Workload, main


class FakeModel(Model):
    """A model whose answers come from the workload."""

    def __init__(self, work: Workload) -> None:
        super().__init__(model_id="fake")
        self.work = work

    def generate(self, messages: list[ChatMessage], **kwargs: Any) -> ChatMessage:
        content: Any = messages[-1].content
        text = content[0]["text"] if isinstance(content, list) else str(content)
        page = self.work.next_page(text.removeprefix("Observation:\n"), lambda: "")
        name, arguments = ("final_answer", {"answer": "done"}) if page is None else ("look_up", {"page": page})
        function = ChatMessageToolCallFunction(name=name, arguments=arguments)
        call = ChatMessageToolCall(id=f"call-{page}", type="function", function=function)
        return ChatMessage(role=MessageRole.ASSISTANT, content="", tool_calls=[call])


def run(folder: Path, name: str, work: Workload) -> None:
    """Do the work from its start; nothing reaches the folder."""

    @tool
    def look_up(page: int) -> str:
        """Look up a page.

        Args:
            page: its number.
        """
        return work.look_up(page)

    agent = ToolCallingAgent(
        tools=[look_up], model=FakeModel(work), instructions=INSTRUCTIONS, verbosity_level=LogLevel.OFF
    )
    assert agent.run(TASK, max_steps=work.steps + 10) == "done"


if __name__ == "__main__":
    main(["smolagents"], run, None)
