"""For those who come from LangChain: the same habit, with a journal beneath."""

from mainspring import ScriptedModel, ToolCallPart, create_agent, tool


@tool(effect="read")
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


agent = create_agent(ScriptedModel([ToolCallPart("", "multiply", {"a": 6, "b": 7}), "42"]), [multiply])
result = agent.invoke({"messages": [{"role": "user", "content": "What is 6 times 7?"}]})
print(result["messages"][-1].content)
