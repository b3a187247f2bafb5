"""The root command, and what happens to every error that reaches it."""

from __future__ import annotations

import os
import sys

import click

from mainspring.cli.group import LazyGroup
from mainspring.cli.output import OutputGoneError, mute, note, secure_streams
from mainspring.cli.render import is_text, safe
from mainspring.cli.status import FAILED, INTERRUPTED, USAGE
from mainspring.errors import MainspringError

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    cls=LazyGroup,
    context_settings=_CONTEXT,
    lazy={
        "run": ("mainspring.cli.run:run", "Give an agent a task and watch it work."),
        "code": ("mainspring.cli.code:code", "Have a task done on a git repository; diff, apply, undo, scan."),
        "runs": ("mainspring.cli.runs:runs", "List, show, resume, fork, replay, cancel, export, undo runs."),
        "worker": ("mainspring.cli.worker:worker", "Execute the runs of a journal, beside other workers."),
        "serve": ("mainspring.cli.serve:serve", "Be a service: a worker, schedules, webhooks, health and metrics."),
        "schedule": ("mainspring.cli.schedule:schedule", "Have tasks done by the clock, or when something comes in."),
        "approvals": ("mainspring.cli.approvals:approvals", "Answer what runs are waiting for."),
        "grants": ("mainspring.cli.grants:grants", "What runs may do; give a right, or take one back."),
        "people": ("mainspring.cli.people:people", "Who may answer; take a person's or an agent's rights back."),
        "policy": ("mainspring.cli.policy:policy", "Check, explain and test policies."),
        "tools": ("mainspring.cli.tools:tools", "List, audit and approve tools."),
        "memory": ("mainspring.cli.memory:memory", "What agents remember; vouch for it, or make them forget."),
        "index": ("mainspring.cli.index:index", "Make files and folders searchable."),
        "search": ("mainspring.cli.search:search", "Find pages of a library, by words, meaning or a picture."),
        "library": ("mainspring.cli.library:library", "What a library holds; remove, forget, check, compact it."),
        "recall": ("mainspring.cli.recall:recall", "Search what finished runs left behind; make agents forget a run."),
        "skills": ("mainspring.cli.skills:skills", "Add, approve and remove skills."),
        "pins": ("mainspring.cli.pins:pins", "What was approved as it is, and what has changed since."),
        "audit": ("mainspring.cli.audit:audit", "Verify, search and export who did what, and why it was allowed."),
        "acp": ("mainspring.cli.acp:acp", "Be an agent for an editor that speaks the Agent Client Protocol."),
        "models": ("mainspring.cli.models:models", "List the models that can be used; fetch local ones."),
        "doctor": ("mainspring.cli.doctor:doctor", "Say what is missing on this machine and how to get it."),
        "demo": ("mainspring.cli.demo:demo", "Break a real package and have an agent mend it."),
    },
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 waiting, paused or in doubt, 130 interrupted.",
)
@click.option("-V", "--version", is_flag=True, expose_value=False, help="Show the version and exit.")
def root() -> None:
    """Run agents that can be left running.

    \b
    Examples:
      mainspring run "What does this project do?"
      mainspring run "Mend the failing test" --workspace ~/project --limit usd=2
      mainspring runs                      what ran, and how it ended
      mainspring runs resume last          go on after a pause or a crash
      mainspring approvals approve 3f2     let one waiting call through

    Runs are kept in MAINSPRING_HOME (default ~/.mainspring).
    """


def start(arguments: list[str]) -> int:
    """Run the command and turn every error into one line on standard error and an exit status."""
    secure_streams()
    try:
        for argument in arguments:
            if not is_text(argument):
                shown = ascii(os.fsencode(argument).decode("utf-8", "backslashreplace"))
                raise click.UsageError(f"an argument is not valid UTF-8: {shown}; check the terminal's encoding")
        # Click's own handling of errors is turned off: ours says `mainspring: error:` and knows our classes.
        result = root.main(args=arguments or ["--help"], prog_name="mainspring", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "mainspring"
        _complain(f"{_lower(error.format_message())}\ntry: {where} --help")
        return USAGE
    except click.ClickException as error:
        _complain(error.format_message())
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        note("mainspring: interrupted")
        return INTERRUPTED
    except OutputGoneError as error:
        _debug()
        _complain(str(error))
        return FAILED
    except BrokenPipeError:
        mute(sys.stdout)
        mute(sys.stderr)
        return FAILED
    except MainspringError as error:
        _debug()
        _complain(str(error))
        return FAILED
    except OSError as error:
        _debug()
        what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        _complain(what)
        return FAILED
    except Exception as error:
        _debug()
        _complain(
            f"{type(error).__name__}: {error}\n"
            "this is a bug in mainspring; MAINSPRING_DEBUG=1 shows where, please report it"
        )
        return FAILED


def _complain(message: str) -> None:
    note(f"mainspring: error: {safe(message)}")


def _debug() -> None:
    if os.environ.get("MAINSPRING_DEBUG"):
        import traceback

        traceback.print_exc()


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:] if message[1:2].islower() else message
