"""At a terminal: the live display, and questions answered right there."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest
from cli_program import COMMAND, environment, json_lines, mainspring

CLERK = Path(__file__).with_name("clerk.py")


class Terminal:
    """A command at a terminal of its own, with a person who reads before they type."""

    def __init__(self, home: Path, *arguments: str, term: str = "xterm-256color", columns: int = 100) -> None:
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(COMMAND[0], [*COMMAND, *arguments], environment(home, TERM=term))
        ioctl(self.fd, TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    def read_until(self, text: str, seconds: float = 60) -> str:
        """What appeared up to and including `text`; fails when it does not come."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} does not come; seen: {self.seen!r}"
            assert self._read(), f"ended without {text!r}; seen: {self.seen!r}"
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def _read(self) -> bool:
        ready, _, _ = select.select([self.fd], [], [], 0.2)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self, seconds: float = 60) -> tuple[int, str]:
        """Exit status and the rest of what appeared."""
        end = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < end, f"does not end; seen: {self.seen!r}"
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status), self.seen


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "desk"
    folder.mkdir()
    return folder


def pay(home: Path, desk: Path, *more: str, term: str = "xterm-256color") -> Terminal:
    return Terminal(home, "run", "Pay", "-a", f"{CLERK}:payer", "-w", str(desk), *more, term=term)


def journal(home: Path, kind: str) -> list[dict[str, object]]:
    shown = json_lines(mainspring("runs", "show", "last", "--events", "--json", home=home).stdout)
    return [line["payload"] for line in shown if line["kind"] == kind]


def test_the_person_is_asked_and_the_run_goes_on(home: Path, desk: Path) -> None:
    terminal = pay(home, desk)
    asked = terminal.read_until("approve?")
    assert "▌ pay needs your yes\n" in asked
    assert '▌   to = "bob"\n' in asked
    assert "▌   amount = 5\n" in asked
    assert "▌   because: it cannot be undone; to may have been written by tool:look" in asked
    assert asked.count("; may be written by tool:look\n") == 2
    assert '▌   smallest grant for it (approve --grant): pay once with to "bob", amount 5\n' in asked
    assert "▌   who: one person (any person)\n" in asked
    terminal.type("\n")  # an empty line decides nothing
    terminal.read_until("approve?")
    terminal.type("why\n")
    why = terminal.read_until("approve?")
    assert "call digest" in why
    assert "I pay." in why
    assert not (desk / "payments").exists()
    terminal.type("y\n")
    status, rest = terminal.end()
    assert status == 0
    assert "All ␛]0;owned␇[bold]done[/bold]: é日本." in rest
    assert (desk / "payments").read_text() == "bob 5\n"


def test_the_display_obeys_nothing_that_models_and_tools_write(home: Path, desk: Path) -> None:
    status, seen = Terminal(home, "run", "Look", "-a", f"{CLERK}:reader", "-w", str(desk)).end()
    assert status == 0
    assert "\x1b]0;owned" not in seen
    assert "\x1b[2J" not in seen
    assert "the [bold]ledger[/]" in seen  # markup in their words stays words
    assert "\x1b[?25h" in seen  # the cursor is given back
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


def test_a_grant_covers_calls_after_this_one(home: Path, desk: Path) -> None:
    terminal = Terminal(home, "run", "Pay", "-a", f"{CLERK}:again", "-w", str(desk))
    assert "[g]rant" in terminal.read_until("approve? [y]es once,") + terminal.read_until("[l]ater")
    terminal.type("g\n")
    assert '▌ besides this call the run may: pay once with to "bob", amount 5' in terminal.read_until("further calls?")
    terminal.type("no idea\n")
    assert "'no idea' is no number from 1 to 1,000,000; nothing was decided" in terminal.read_until("approve?")
    terminal.type("g\n")
    terminal.read_until("further calls?")
    terminal.type("\n")  # thinks better of it
    terminal.read_until("approve?")
    assert not (desk / "payments").exists()
    terminal.type("g\n")
    terminal.read_until("further calls?")
    terminal.type("1\n")
    status, rest = terminal.end()
    assert status == 0
    assert "approve?" not in rest
    assert (desk / "payments").read_text() == "bob 5\nbob 5\n"
    [given] = journal(home, "grant.given")
    assert given["grant"]["count"] == 1  # type: ignore[index]
    assert [p["approval"] is None for p in journal(home, "effect.intended")] == [True, False, True]


def test_a_plan_is_a_question_and_no_call_to_grant_more_of(home: Path, desk: Path) -> None:
    terminal = Terminal(home, "run", "Do it", "-a", f"{CLERK.with_name('office.py')}:consults", "-w", str(desk))
    asked = terminal.read_until("approve? [y]es once, [n]o")
    assert '▌   question = "May I write to them?"\n' in asked
    assert '"to": "the second"' in asked  # the handle filled in
    assert "smallest grant" not in asked
    terminal.type("y\n")
    status, rest = terminal.end()
    assert status == 0
    assert 'may: send_mail once with to "the second"' in rest
    assert (desk / "sent").read_text() == "the second\n"


def test_one_of_two_people_is_asked_once(home: Path, desk: Path) -> None:
    home.mkdir()
    rule = '[[approvals.rules]]\ntools = ["pay"]\npeople = 2\n'
    (home / "mainspring.toml").write_text(rule)
    terminal = pay(home, desk)
    assert "▌   who: 2 different people (any person)\n" in terminal.read_until("approve?")
    terminal.type("y\n")
    terminal.read_until("you said yes; 1 more person has to, before the call is made")
    status, rest = terminal.end()
    assert status == 3
    assert "approve?" not in rest
    again = Terminal(home, "runs", "resume", "last")
    again.read_until("you said yes; 1 more person has to")
    assert again.end()[0] == 3
    mainspring("approvals", "approve", "last", "--by", "ann", home=home)
    assert Terminal(home, "runs", "resume", "last").end()[0] == 0
    assert (desk / "payments").read_text() == "bob 5\n"


def test_no_is_told_to_the_agent_with_its_reason(home: Path, desk: Path) -> None:
    terminal = pay(home, desk, term="dumb")
    assert "\x1b" not in terminal.read_until("approve?")
    terminal.type("n\n")
    terminal.read_until("why not?")
    terminal.type("wrong person\n")
    status, _ = terminal.end()
    assert status == 0
    assert not (desk / "payments").exists()
    [answer] = journal(home, "approval.answered")
    assert (answer["answer"], answer["reason"]) == ("denied", "wrong person")


@pytest.mark.parametrize("key", ["l\n", "\x04", "\x03"], ids=["later", "end of input", "Ctrl-C"])
def test_who_does_not_answer_now_finds_the_run_waiting(home: Path, desk: Path, key: str) -> None:
    terminal = pay(home, desk)
    terminal.read_until("approve?")
    terminal.type(key)
    status, rest = terminal.end()
    assert status == 3
    assert "go on with: mainspring runs resume" in rest
    assert len(json_lines(mainspring("approvals", "--json", home=home).stdout)) == 1


def test_keys_typed_before_the_question_answer_nothing(home: Path, desk: Path) -> None:
    terminal = Terminal(home, "run", "Pay", "-a", f"{CLERK}:dawdler", "-w", str(desk))
    terminal.read_until("dawdle")
    terminal.type("y\ny\n")
    (desk / "enough").touch()
    terminal.read_until("approve?")
    time.sleep(1)
    assert not (desk / "payments").exists()
    terminal.type("l\n")
    assert terminal.end()[0] == 3


def test_no_input_never_asks(home: Path, desk: Path) -> None:
    status, seen = pay(home, desk, "--no-input").end()
    assert status == 3
    assert "approve?" not in seen


@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_an_answer_from_elsewhere_withdraws_the_question(home: Path, desk: Path, answer: str) -> None:
    terminal = pay(home, desk)
    terminal.read_until("approve?")
    [asked] = json_lines(mainspring("approvals", "--json", home=home).stdout)
    mainspring("approvals", answer, asked["id"], "--by", "ann", home=home)
    status, rest = terminal.end()
    assert status == 0
    assert "answered elsewhere" in rest
    assert (desk / "payments").exists() == (answer == "approve")
    assert [a["by"] for a in journal(home, "approval.answered")] == ["ann"]


def test_a_doubt_is_settled_at_the_terminal(home: Path, desk: Path) -> None:
    arguments = ("run", "Die", "-a", f"{CLERK}:killer", "-w", desk, "--allow", "die")
    mainspring(*arguments, home=home, expect=-signal.SIGKILL)
    terminal = Terminal(home, "runs", "resume", "last")
    assert "in doubt whether it happened" in terminal.read_until("did it happen?")
    terminal.type("h\n")
    terminal.read_until("what did it return?")
    terminal.type("buried\n")
    status, rest = terminal.end()
    assert status == 0
    assert "doubt settled: happened" in rest
    assert journal(home, "doubt.answered")[0]["value"] == "buried"


def test_ctrl_c_at_the_terminal_pauses(home: Path, desk: Path) -> None:
    terminal = Terminal(home, "run", "Dawdle", "-a", f"{CLERK}:slow", "-w", str(desk))
    terminal.read_until("→ dawdle")
    terminal.type("\x03")
    terminal.read_until("pausing after the effect under way")
    (desk / "enough").touch()
    status, rest = terminal.end()
    assert status == 3
    assert "go on with: mainspring runs resume" in rest
    assert "\x1b[?25h" in rest
