"""LangChain's create_agent over SqliteSaver with durability="sync", in the loop benchmark."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver

from benchmarks.peers.workload import INSTRUCTIONS, TASK, Workload, main


class FakeModel(BaseChatModel):
    """A chat model whose answers come from the workload."""

    work: Any

    @property
    def _llm_type(self) -> str:
        return "fake"

    def bind_tools(self, tools: Any, **kwargs: Any) -> FakeModel:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        page = self.work.next_page(str(messages[-1].content), lambda: "\n".join(str(m.content) for m in messages))
        calls = [] if page is None else [{"name": "look_up", "args": {"page": page}, "id": f"call-{page}"}]
        message = AIMessage(content="done" if page is None else "", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


def _agent(work: Workload, saver: SqliteSaver) -> Any:
    @tool
    def look_up(page: int) -> str:
        """Look up a page."""
        return work.look_up(page)

    return create_agent(FakeModel(work=work), [look_up], system_prompt=INSTRUCTIONS, checkpointer=saver)


def _config(name: str, work: Workload) -> dict[str, Any]:
    return {"configurable": {"thread_id": name}, "recursion_limit": work.steps * 4 + 20}


def run(folder: Path, name: str, work: Workload) -> None:
    """Do the work from its start."""
    with SqliteSaver.from_conn_string(str(folder / "checkpoints.sqlite")) as saver:
        task = {"messages": [{"role": "user", "content": TASK}]}
        state = _agent(work, saver).invoke(task, _config(name, work), durability="sync")
        assert state["messages"][-1].content == "done"


def resume(folder: Path, name: str, work: Workload) -> None:
    """Go on with the thread after a kill."""
    work.resumed_at_ns = time.perf_counter_ns()
    with SqliteSaver.from_conn_string(str(folder / "checkpoints.sqlite")) as saver:
        state = _agent(work, saver).invoke(None, _config(name, work), durability="sync")
        assert state["messages"][-1].content == "done"


if __name__ == "__main__":
    main(["langchain", "langgraph", "langgraph-checkpoint-sqlite"], run, resume)
