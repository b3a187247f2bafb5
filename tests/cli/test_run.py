"""`mainspring run` and `runs resume` as real processes: output, exit statuses, pausing, going on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_program import COMMAND, environment, json_lines, mainspring

CLERK = Path(__file__).with_name("clerk.py")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    return folder


def until(true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait for something that a living process does."""
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the process does not get there"
        time.sleep(0.05)


def begin(home: Path, desk: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command that goes on in the background, in a process group of its own like a shell's job."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
        cwd=desk,
        start_new_session=True,
    )


def newest(home: Path) -> dict[str, object]:
    return json_lines(mainspring("runs", "show", "last", "--json", home=home).stdout)[0]


def test_the_answer_goes_to_stdout_and_progress_to_stderr(home: Path, desk: Path) -> None:
    done = mainspring("run", "Look", "-a", f"{CLERK}:reader", "-w", desk, home=home)
    assert done.stdout == "All ␛]0;owned␇[bold]done[/bold]: é日本.\n"
    told = done.stderr.splitlines()
    assert told[0] == f"reader · scripted · {desk}"
    assert '→ look what="the [bold]ledger[/]"' in told
    assert "a tool's own noise on standard output" in told
    assert "noise of its child" in told
    assert any(line.startswith("✓ look ") and line.endswith("seen the [bold]ledger[/] (+1 lines)") for line in told)
    assert "step 1/50 · 4.1k tokens · $0.0100/$2.00" in told
    assert "\x1b" not in done.stderr
    assert told[-1].endswith(": 2 steps, 8.2k tokens, $0.0200")
    assert sum("done" in line and "All" in line for line in told) == 0  # the answer is not told twice


def test_quiet_prints_only_the_answer(home: Path, desk: Path) -> None:
    done = mainspring("run", "-", "-q", "-a", f"{CLERK}:typed", home=home, stdin=b"List them.\n")
    assert done.stdout == "[\n  1,\n  2\n]\n"
    assert done.stderr == ""


def test_json_prints_one_object_a_line_and_nothing_else(home: Path, desk: Path) -> None:
    done = mainspring("run", "Pay", "-a", f"{CLERK}:payer", "-w", desk, "--allow", "pay", "--json", home=home)
    lines = json_lines(done.stdout)
    assert done.stdout.isascii()
    assert [line["seq"] for line in lines[:-1]] == list(range(1, len(lines)))
    assert lines[0]["kind"] == "run.started"
    assert lines[0]["payload"]["origin"] == f"{CLERK}:payer?allow=pay"
    result = lines[-1]
    assert (result["kind"], result["status"], result["pending"]) == ("result", "done", [])
    assert result["output"] == "All \x1b]0;owned\x07[bold]done[/bold]: é日本."
    assert result["usage"]["in"] == 12000
    assert {line["run_id"] for line in lines} == {result["run_id"]}
    shown = json_lines(mainspring("runs", "show", "last", "--events", "--json", home=home).stdout)
    assert [line["payload"] for line in shown[1:]] == [line["payload"] for line in lines[:-1]]


def test_a_run_that_needs_a_person_exits_3_and_goes_on_after_the_answer(home: Path, desk: Path) -> None:
    waiting = mainspring("run", "Pay", "-a", f"{CLERK}:payer", "-w", desk, home=home, expect=3)
    assert waiting.stdout == ""
    assert "mainspring approvals approve|deny ap_" in waiting.stderr
    [asked] = json_lines(mainspring("approvals", "--json", home=home).stdout)
    assert (asked["tool"], asked["arguments"], asked["kind"]) == ("pay", {"to": "bob", "amount": 5}, "approval")
    assert "ap_" in mainspring("approvals", home=home).stdout
    assert 'to = "bob"' in mainspring("approvals", "show", asked["id"], home=home).stdout

    still = mainspring("runs", "resume", "last", home=home, expect=3)
    assert "ap_" in still.stderr
    mainspring("approvals", "approve", asked["id"][3:8], "--by", "ann", home=home)
    again = mainspring("approvals", "approve", asked["id"], home=home, expect=1)
    assert again.stderr.startswith("mainspring: error: ")
    assert mainspring("approvals", home=home).stdout == "nothing waits for a person\n"

    done = mainspring("runs", "resume", "last", home=home, cwd=home)
    assert done.stdout.startswith("All ")
    assert "approved by ann" in done.stderr
    assert "step 3/50 · 12.3k tokens · $0.0300/$2.00" in done.stderr  # counts on from before
    assert (desk / "payments").read_text() == "bob 5\n"


def test_a_denied_call_is_not_made_and_the_agent_is_told(home: Path, desk: Path) -> None:
    mainspring("run", "Pay", "-a", f"{CLERK}:payer", "-w", desk, home=home, expect=3)
    run = str(newest(home)["run_id"])
    mainspring("approvals", "deny", run, "--reason", "too much", home=home)
    done = mainspring("runs", "resume", run, home=home)
    assert ": too much" in done.stderr
    assert not (desk / "payments").exists()


def test_a_failed_run_exits_1_and_says_why(home: Path, desk: Path) -> None:
    done = mainspring("run", "x", "-a", f"{CLERK}:lost", home=home, expect=1)
    assert "mainspring: error: run " in done.stderr
    assert "the script has 0 lines" in done.stderr


def test_a_limit_from_the_command_line_ends_the_run_and_a_higher_one_lets_it_go_on(home: Path, desk: Path) -> None:
    arguments = ("run", "Pay", "-a", f"{CLERK}:payer", "-w", desk, "--allow", "pay", "--limit", "steps=1")
    done = mainspring(*arguments, home=home, expect=1)
    assert "limit steps" in done.stderr
    assert json_lines(mainspring("runs", "--json", "--status", "failed", home=home).stdout)[0]["agent"] == "payer"
    mainspring("runs", "resume", "last", "--limit", "steps=20", home=home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_pauses_after_the_effect_under_way(home: Path, desk: Path, number: signal.Signals) -> None:
    working = begin(home, desk, "run", "Dawdle", "-a", f"{CLERK}:slow", "-w", str(desk))
    until((desk / "dawdling").exists, working)
    working.send_signal(number)
    time.sleep(0.5)
    assert working.poll() is None  # the effect under way is not cut
    (desk / "enough").touch()
    out, err = working.communicate(timeout=60)
    assert working.returncode == 3, err
    assert out == ""
    assert "pausing after the effect under way" in err
    assert f"go on with: mainspring runs resume {newest(home)['run_id']}" in err
    kinds = [e["kind"] for e in json_lines(mainspring("runs", "show", "last", "--events", "--json", home=home).stdout)]
    assert kinds[-2:] == ["effect.done", "run.paused"]

    done = mainspring("runs", "resume", "last", home=home)
    assert done.stdout.startswith("All ")
    assert (desk / "dawdled").read_text() == "once\n"


def test_a_second_ctrl_c_stops_at_once_and_loses_nothing(home: Path, desk: Path) -> None:
    working = begin(home, desk, "run", "Hang", "-a", f"{CLERK}:hanger", "-w", str(desk))
    until(lambda: (home / "journal.db").exists() and "effect.intended" in events_of(home), working)
    working.send_signal(signal.SIGINT)
    time.sleep(0.3)
    working.send_signal(signal.SIGINT)
    _, err = working.communicate(timeout=60)
    assert working.returncode == 130, err
    assert "go on with: mainspring runs resume" in err
    assert "Traceback" not in err
    run = newest(home)
    assert run["status"] in ("interrupted", "waiting")
    assert mainspring("runs", "replay", "last", home=home).stdout.startswith("identical: yes")


def events_of(home: Path) -> list[str]:
    if not json_lines(mainspring("runs", "--json", home=home).stdout):
        return []
    return [e["kind"] for e in json_lines(mainspring("runs", "show", "last", "--events", "--json", home=home).stdout)]


def test_a_killed_run_is_called_interrupted_and_its_call_is_settled_by_a_person(home: Path, desk: Path) -> None:
    died = mainspring(
        "run", "Die", "-a", f"{CLERK}:killer", "-w", desk, "--allow", "die", home=home, expect=-signal.SIGKILL
    )
    assert died.stdout == ""
    assert "interrupted" in mainspring("runs", home=home).stdout
    doubt = mainspring("runs", "resume", "last", home=home, expect=3)
    assert "mainspring approvals settle" in doubt.stderr
    [open_] = json_lines(mainspring("approvals", "list", "--json", home=home).stdout)
    assert open_["kind"] == "doubt"
    wrong = mainspring("approvals", "approve", open_["id"], home=home, expect=1)
    assert "settle" in wrong.stderr
    mainspring("approvals", "settle", "last", "--answer", "happened", "--value", "buried", home=home)
    assert mainspring("runs", "resume", "last", home=home).stdout.startswith("All ")


def test_two_processes_resume_one_run(home: Path, desk: Path) -> None:
    run = begin(home, desk, "run", "Dawdle", "-a", f"{CLERK}:slow", "-w", str(desk))
    until((desk / "dawdling").exists, run)
    second = mainspring("runs", "resume", "last", home=home, expect=1)
    assert second.stderr.startswith("mainspring: error: ")
    assert str(newest(home)["run_id"]) in second.stderr
    (desk / "enough").touch()
    run.communicate(timeout=60)
    assert run.returncode == 0


def test_steering_and_cancelling_a_working_run(home: Path, desk: Path) -> None:
    working = begin(home, desk, "run", "Dawdle", "-a", f"{CLERK}:slow", "-w", str(desk), "--json")
    until((desk / "dawdling").exists, working)
    mainspring("runs", "send", "last", "Leave the tests alone", "--by", "ann", home=home)
    mainspring("runs", "cancel", "last", "--by", "bob", "--reason", "enough", home=home)
    (desk / "enough").touch()
    out, _ = working.communicate(timeout=60)
    lines = json_lines(out)
    assert working.returncode == 1
    assert lines[-1]["status"] == "cancelled"
    assert "bob: enough" in lines[-1]["reason"]
    assert [line["payload"]["by"] for line in lines if line["kind"] == "message.added"] == ["ann"]


def test_a_reader_that_goes_away_pauses_the_run(home: Path, desk: Path) -> None:
    working = begin(home, desk, "run", "Dawdle", "-a", f"{CLERK}:slow", "-w", str(desk), "--json")
    assert working.stdout is not None
    assert working.stderr is not None
    working.stdout.readline()
    until((desk / "dawdling").exists, working)
    working.stdout.close()
    (desk / "enough").touch()
    err = working.stderr.read()
    assert working.wait(timeout=60) == 3, err
    assert "nobody reads standard output any more" in err
    mainspring("runs", "resume", "last", home=home)


def test_a_closed_stdout_does_not_lose_the_answer(home: Path, desk: Path) -> None:
    command = f"exec {' '.join(COMMAND)} run Look -a {CLERK}:reader -w {desk} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment(home), check=False)
    assert done.returncode == 1
    assert "standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr
    assert newest(home)["status"] == "done"


def test_files_travel_with_the_task(home: Path, desk: Path) -> None:
    (desk / "a.png").write_bytes(b"\x89PNG")
    (desk / "notes.txt").write_text("hello")
    big = desk / "big.bin"
    with big.open("wb") as file:
        file.truncate(21 << 20)
    attach = ("--attach", desk / "a.png", "--attach", desk / "notes.txt")
    done = mainspring("run", "Look", "-a", f"{CLERK}:reader", *attach, "--json", home=home)
    [message] = json_lines(done.stdout)[0]["payload"]["messages"]
    assert [part["type"] for part in message["parts"]] == ["text", "image", "file"]
    refused = mainspring("run", "Look", "-a", f"{CLERK}:reader", "--attach", big, home=home, expect=2)
    assert "22,020,096 bytes are more than" in refused.stderr


def test_an_agent_file_that_moved_is_named_again(home: Path, desk: Path) -> None:
    moved = desk / "moved.py"
    moved.write_text(CLERK.read_text())
    mainspring(
        "run", "Pay", "-a", f"{moved}:payer", "-w", desk, "--allow", "pay", "--limit", "steps=1", home=home, expect=1
    )
    moved.unlink()
    gone = mainspring("runs", "resume", "last", "--limit", "steps=9", home=home, expect=1)
    assert f"no agent file at {moved}" in gone.stderr
    mainspring("runs", "resume", "last", "--limit", "steps=9", "-a", f"{CLERK}:payer", home=home)
    assert (desk / "payments").read_text() == "bob 5\n"  # what was allowed then is still allowed


def test_without_stdin_or_stderr(home: Path, desk: Path) -> None:
    command = f"exec {' '.join(COMMAND)} run Look -a {CLERK}:reader -w {desk} <&- 2>&-"
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, env=environment(home), check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("All ")
    assert os.path.exists(home)


def test_the_default_agent_is_found_again(home: Path, desk: Path) -> None:
    arguments = ("run", "Hello", "--tools", "none", "--effort", "low")
    failed = mainspring(*arguments, home=home, cwd=desk, expect=1, MAINSPRING_MODEL="local:9b")
    assert "no local model '9b'" in failed.stderr
    shown = json_lines(mainspring("runs", "show", "last", "--events", "--json", home=home).stdout)
    assert shown[1]["payload"]["origin"] == "builtin:coding?effort=low&model=local%3A9b&tools=none"
    assert shown[0]["workspace"] == str(desk)
    again = mainspring("runs", "resume", "last", home=home, expect=1, MAINSPRING_MODEL="another")
    assert "no local model '9b'" in again.stderr


def test_a_run_of_a_program_needs_its_declaration_named(home: Path, desk: Path) -> None:
    code = f"import runpy; runpy.run_path({str(CLERK)!r})['payer'].run_sync('Pay', workspace={str(desk)!r})"
    subprocess.run([COMMAND[0], "-c", code], env=environment(home), check=True, capture_output=True)
    refused = mainspring("runs", "resume", "last", home=home, expect=1)
    assert "--agent FILE" in refused.stderr
    mainspring("approvals", "approve", "last", home=home)
    mainspring("runs", "resume", "last", "--agent", f"{CLERK}:payer", home=home)
    assert (desk / "payments").read_text() == "bob 5\n"


def test_a_workspace_whose_path_is_no_text(home: Path, desk: Path) -> None:
    odd = os.fsencode(desk) + b"/caf\xe9"
    os.mkdir(odd)
    refused = mainspring("run", "Hello", "--tools", "none", home=home, cwd=Path(os.fsdecode(odd)), expect=2)
    assert "caf\\udce9' is not valid UTF-8; rename the folder" in refused.stderr
