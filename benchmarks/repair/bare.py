"""The bare loop: one shell command per answer, its output back, until the model says that it is done.

Built after what mini-swe-agent (github.com/SWE-agent/mini-swe-agent, its text-based configuration) does, in our own
words: a linear history, one fenced command in each answer, each in a new shell of the project's folder, a word of
its own as the first line of a command's output ends the work, and answers without a command are answered with
what was wrong, three in a row ending the work.

Where it differs, it is in the loop's favour or for the small budget: the first fenced command counts and the answer
ends there, where theirs refuses answers with two; long outputs are cut to 3,500 characters in place of 10,000; the
task names a failing test and its error; the model samples as its own makers advise; and a loop that gives the same
command four times in a row and gets the same output is ended before its budget is spent, which saves hours and no bug.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mainspring.errors import ModelError
from mainspring.messages import Message, Usage, assistant, system, user
from mainspring.model import ModelSettings
from mainspring.tools.sandbox import Sandbox

FINISH = "TASK_IS_COMPLETE"
# In a numbered list a block is often indented, and so is its end.
_COMMAND = re.compile(r"```[ \t]*(?:bash|sh|shell|console)?[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_STOPS = tuple("\n" + " " * indent + "```\n" for indent in (0, 2, 3, 4))
_SHOWN = 3_500
_COMMAND_S = 60.0
_ANSWER_TOKENS = 700
_FORMAT_ERRORS = 3
_SAME = 4  # the same command and output so often in a row: what follows would be the same until the budget is spent
#: What the makers of Qwen2.5-Coder put into its generation_config.json.
_SAMPLING = {"top_p": 0.8, "top_k": 20, "repeat_penalty": 1.1}
_TEMPERATURE = 0.7

SYSTEM = """\
You mend software by typing commands into a bash shell.
Each of your answers has a short thought and then exactly one command in one code block, like this:

I want to see which files there are.

```bash
ls -la
```

You are then shown the command's output, and answer with the next command."""

TASK = """\
The Python package in the current directory is broken: a mistake in one of its functions makes tests fail. Mend it.

Run the tests with:

{command}

{failing}

How to go about it: run a failing test and read its error, read the code that it blames (`grep -n`,
`sed -n '10,40p' FILE`), change the code, run the tests again, and go on until all pass.
Change no tests and no configuration.

Every command runs in a new shell in this directory, without a terminal: no editors, no questions. To change a file
use for instance `sed -i '12s/old/new/' FILE`, or `python - <<'EOF'` with a few lines that read, replace and write.

When all tests pass, finish with this command alone:

```bash
echo {finish}
```"""


REMINDER = """\
That answer holds no command, so nothing was run and no file was changed. Only a block that begins with ```bash is run.
Answer with a short thought and one command, for instance:

I look at the function that the error names.

```bash
grep -n "def name_of_it" -A 20 path/of/the/file.py
```"""


@dataclass(slots=True)
class Attempt:
    """How one run of the loop went.

    Args:
        submitted: the model said that it is done.
        reason: why the loop ended.
        commands: the commands that ran, in order.
        usage: what the model spent.
        messages: the whole conversation.
    """

    submitted: bool = False
    reason: str = ""
    commands: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    messages: list[Message] = field(default_factory=list)

    @property
    def fresh_tokens(self) -> int:
        """Tokens that were read anew or written."""
        return self.usage.tokens - self.usage.cache_read_tokens


async def work(
    model: Any,
    workspace: Path,
    command: str,
    failing: str,
    *,
    tokens: int,
    seconds: float,
    steps: int = 100,
    seed: int = 0,
) -> Attempt:
    """Let `model` work in `workspace` until it is done or has spent its budget.

    Args:
        model: any :class:`mainspring.model.Model`.
        workspace: the broken project; commands run in the sandbox, with only this folder writable.
        command: how its tests are run.
        failing: a line or two on what fails.
        tokens: tokens read anew and written, at most (its last answer may go beyond).
        seconds: time, at most.
        steps: answers, at most.
        seed: of the model's sampling.
    """
    sandbox = Sandbox(workspace)
    attempt = Attempt(messages=[system(SYSTEM), user(TASK.format(command=command, failing=failing, finish=FINISH))])
    started, wrong, same, last = time.monotonic(), 0, 0, ("", "")
    for step in range(steps):
        if attempt.fresh_tokens >= tokens:
            attempt.reason = "the tokens are spent"
            return attempt
        if time.monotonic() - started >= seconds:
            attempt.reason = "the time is up"
            return attempt
        try:
            text = await _answer(model, attempt, seed * 1000 + step)
        except ModelError as error:
            attempt.reason = str(error)[:300]
            return attempt
        found = _COMMAND.search(text)
        if found is None or not found.group(1).strip():
            wrong += 1
            if wrong >= _FORMAT_ERRORS:
                attempt.reason = "three answers in a row without a command"
                return attempt
            attempt.messages.append(user(REMINDER))
            continue
        wrong = 0
        command_line = textwrap.dedent(found.group(1))
        attempt.commands.append(command_line)
        result = await asyncio.to_thread(
            sandbox.run, ["bash", "-c", command_line], timeout_s=_COMMAND_S, env={"PAGER": "cat"}
        )
        if result.exit_code == 0 and result.output.lstrip().split("\n", 1)[0].strip() == FINISH:
            attempt.submitted, attempt.reason = True, "it said that it is done"
            return attempt
        this = command_line, re.sub(r"\d", "", result.output)  # no two runs of tests take the same time
        same, last = (same + 1 if this == last else 1), this
        if same >= _SAME:
            attempt.reason = f"the same command and output {_SAME} times in a row"
            return attempt
        how = f"exit code {result.exit_code}" if result.ended == "exit" else f"ended: {result.ended}"
        attempt.messages.append(user(f"[{how}]\n{_shortened(result.output)}"))
    attempt.reason = f"after {steps} answers"
    return attempt


async def _answer(model: Any, attempt: Attempt, seed: int) -> str:
    """The model's next answer, up to the end of its first code block; it is added to the conversation."""
    settings = ModelSettings(
        max_output_tokens=_ANSWER_TOKENS,
        temperature=_TEMPERATURE,
        seed=seed,
        timeout_s=900.0,
        extra={**_SAMPLING, "stop": list(_STOPS)},
    )
    answer = await model.respond(attempt.messages, (), settings)
    attempt.usage = attempt.usage + (answer.usage or Usage(calls=1))
    text = str(answer.text).rstrip("\n")
    attempt.messages.append(assistant(text + "\n```" if text.count("```") % 2 else text))
    return text


def _shortened(text: str) -> str:
    text = text.strip("\n")
    if len(text) <= _SHOWN:
        return text
    half = _SHOWN // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out; show less at a time ...]\n{text[-half:]}"
