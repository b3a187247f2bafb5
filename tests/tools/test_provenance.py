"""Labels of files that tools wrote: by path and content, joined and never lost to a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.errors import StoreError
from mainspring.label import MODEL, PASTE, USER, Label, tool_label
from mainspring.tools.provenance import (
    WORKSPACE,
    Provenance,
    digest_of,
    edit_label,
    keeps_labels,
    label_read,
    provenance,
)

A, B = digest_of(b"one\n"), digest_of(b"two\n")
MAIL = tool_label("mail")


@pytest.fixture
def known(home: Path) -> Provenance:
    return provenance(home)


def test_what_was_written_has_the_label_of_its_writer(known: Provenance, workspace: Path) -> None:
    known.record(workspace / "a.txt", A, MODEL)
    assert known.label_of(workspace / "a.txt", A) == MODEL


def test_a_content_that_nobody_recorded_is_an_outsiders(known: Provenance, workspace: Path) -> None:
    known.record(workspace / "a.txt", A, MODEL)
    assert known.label_of(workspace / "a.txt", B) is None
    assert known.label_of(workspace / "b.txt", B) is None


def test_labels_of_one_content_only_join(known: Provenance, workspace: Path) -> None:
    known.record(workspace / "a.txt", A, MAIL)
    known.record(workspace / "a.txt", A, MODEL)  # written again, in a clean run
    assert known.label_of(workspace / "a.txt", A) == MAIL.join(MODEL)


def test_a_copy_keeps_the_worst_label_and_says_that_somebody_chose_it(known: Provenance, workspace: Path) -> None:
    known.record(workspace / "a.txt", A, USER)
    copied = known.label_of(workspace / "b.txt", A)
    assert copied is not None
    assert copied.trusted
    assert copied.steered == {f"file:{workspace}/b.txt"}
    known.record(workspace / "mail.txt", A, MAIL)
    for name in ("a.txt", "b.txt", "mail.txt"):
        found = known.label_of(workspace / name, A)
        assert found is not None
        assert found.strangers == {"tool:mail"}


def test_an_old_content_put_back_was_chosen_by_somebody(known: Provenance, workspace: Path) -> None:
    path = workspace / "a.txt"
    known.record(path, A, USER)
    known.record(path, B, USER)
    assert known.label_of(path, B) == USER
    back = known.label_of(path, A)
    assert back is not None
    assert back.steered == {f"file:{path}"}


def test_a_path_through_a_link_is_the_file_it_leads_to(known: Provenance, workspace: Path) -> None:
    (workspace / "real").mkdir()
    (workspace / "link").symlink_to("real")
    known.record(workspace / "link" / "a.txt", A, MODEL)
    assert known.label_of(workspace / "real" / "a.txt", A) == MODEL


def test_names_that_are_no_text(known: Provenance, workspace: Path) -> None:
    path = os.fsdecode(os.fsencode(workspace) + b"/\xff\n.txt")
    known.record(path, A, MODEL)
    assert known.label_of(path, A) == MODEL
    copy = known.label_of(path + "2", A)
    assert copy is not None
    assert Label.decode(copy.encode()) == copy


def test_another_process_sees_it_and_many_threads_write(known: Provenance, home: Path, workspace: Path) -> None:
    def write(number: int) -> None:
        for n in range(50):
            known.record(workspace / f"{number}-{n}", digest_of(f"{number}-{n}".encode()), MODEL)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    program = (
        "import sys; from pathlib import Path; from mainspring.tools.provenance import provenance, digest_of\n"
        "w = Path(sys.argv[2]); known = provenance(Path(sys.argv[1]))\n"
        "print(sum(known.label_of(w / f'{a}-{b}', digest_of(f'{a}-{b}'.encode())) is not None "
        "for a in range(4) for b in range(50)))"
    )
    done = subprocess.run([sys.executable, "-c", program, home, workspace], capture_output=True, text=True, check=True)
    assert done.stdout == "200\n"


def test_a_kill_loses_nothing_that_was_recorded(home: Path, workspace: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mainspring.label import MODEL\n"
        "from mainspring.tools.provenance import Provenance, digest_of\n"
        "known = Provenance(Path(sys.argv[1]) / 'provenance.sqlite')\n"
        "for n in range(10**6):\n"
        "    known.record(f'{sys.argv[2]}/{n}', digest_of(str(n).encode()), MODEL)\n"
        "    print(n, flush=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, home, workspace], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for _ in range(100):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    said = 100 + len(child.stdout.read().splitlines())
    child.wait()
    known = Provenance(home / "provenance.sqlite")
    assert all(known.label_of(workspace / str(n), digest_of(str(n).encode())) == MODEL for n in range(said))


def test_damage_is_said_when_writing_and_fails_closed_when_reading(home: Path, workspace: Path) -> None:
    known = provenance(home)
    known.record(workspace / "a.txt", A, MODEL)
    with sqlite3.connect(known.path) as db:
        db.execute('UPDATE files SET label=\'{"sources":[],"newer":1}\'')
    assert known.label_of(workspace / "a.txt", A) is None
    known.close()
    for file in home.glob("provenance.sqlite*"):
        file.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="move it away"):
        Provenance(known.path)


def test_a_file_of_a_newer_version_is_left_alone(home: Path) -> None:
    known = Provenance(home / "provenance.sqlite")
    known.close()
    with sqlite3.connect(known.path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="update Mainspring"):
        Provenance(known.path)


def test_an_edit_joins_what_was_there_with_what_was_written(known: Provenance, home: Path, workspace: Path) -> None:
    path = workspace / "a.txt"

    def edit(before: bytes | None, **labels: Label) -> Label:
        return edit_label(home, path, None if before is None else digest_of(before), labels)

    assert edit(None, path=USER, new=MODEL) == edit(b"", path=USER, new=MODEL) == USER.join(MODEL)
    assert edit(None) == WORKSPACE, "nobody said who wrote the edit"
    assert edit(b"one\n", new=MODEL) == WORKSPACE.join(MODEL), "nobody knows who wrote what is edited"
    known.record(path, A, USER)
    assert edit(b"one\n", new=MODEL) == USER.join(MODEL)
    assert edit(b"one\n", new=MAIL).strangers == {"tool:mail"}
    known.record(path, B, MAIL)
    assert edit(b"two\n", new=MODEL).strangers == {"tool:mail"}


def test_what_is_read_is_an_outsiders_unless_it_is_known(home: Path, workspace: Path) -> None:
    path = workspace / "a.txt"
    assert not keeps_labels(home)
    assert label_read(home, path, A) == WORKSPACE
    assert not keeps_labels(home), "reading keeps nothing"
    provenance(home).record(path, A, MODEL)
    assert keeps_labels(home)
    assert label_read(home, path, A) == MODEL
    assert label_read(home, path, B) == WORKSPACE
    assert label_read(home, path, None) == WORKSPACE, "a file too large to be hashed"
    assert label_read(None, path, A) == WORKSPACE
    assert not WORKSPACE.trusted


def test_damaged_records_make_every_file_an_outsiders(home: Path, workspace: Path) -> None:
    (home / "provenance.sqlite").write_bytes(b"no database" * 1000)
    assert label_read(home, workspace / "a.txt", A) == WORKSPACE


def test_many_homes_do_not_keep_their_files_open(tmp_path: Path) -> None:
    def opened() -> int:
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors()]
        return sum(str(tmp_path) in link for link in links)

    for number in range(40):
        provenance(tmp_path / str(number)).record(tmp_path / "a", A, MODEL)
    assert opened() < 30  # a file, its log and its index for each of the few that stay open
    assert provenance(tmp_path / "0").label_of(tmp_path / "a", A) == MODEL


def _descriptors() -> list[str]:
    with os.scandir("/proc/self/fd") as found:
        names = [entry.name for entry in found]
    return [name for name in names if os.path.lexists(f"/proc/self/fd/{name}")]


_LABELS = st.sampled_from([USER, MODEL, MAIL, PASTE, MAIL.steering(), Label(frozenset(), frozenset({"ann"}))])
_STEPS = st.tuples(st.sampled_from("abc"), st.sampled_from([A, B]), _LABELS)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(_STEPS, max_size=8))
def test_no_order_of_records_makes_a_content_cleaner(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, Label]]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    known = Provenance(folder / "provenance.sqlite")
    told: dict[str, Label] = {}
    for name, digest, label in steps:
        known.record(folder / name, digest, label)
        told[digest] = told.get(digest, label).join(label)
        for each, expected in told.items():
            for path in "abcd":
                found = known.label_of(folder / path, each)
                assert found is not None
                assert found.sources >= expected.sources
                assert expected.readers is None or (found.readers is not None and found.readers <= expected.readers)
    known.close()


@pytest.mark.slow
def test_it_costs_little(known: Provenance, workspace: Path) -> None:
    digests = [digest_of(str(n).encode()) for n in range(2_000)]
    began = time.perf_counter()
    for number, digest in enumerate(digests):
        known.record(workspace / str(number), digest, MODEL)
    written = (time.perf_counter() - began) / 2_000
    began = time.perf_counter()
    for number, digest in enumerate(digests):
        known.label_of(workspace / str(number), digest)
    read = (time.perf_counter() - began) / 2_000
    print(f"record {written * 1e3:.3f} ms, label_of {read * 1e3:.3f} ms")
    assert written < 0.005
    assert read < 0.005
