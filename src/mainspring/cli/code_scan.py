"""`mainspring code scan`: look for vulnerabilities, secrets and dangerous changes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mainspring.cli.approvals import json_option
from mainspring.cli.output import Output, note
from mainspring.cli.render import one_line, safe

if TYPE_CHECKING:
    from mainspring.code.patch import Patch
    from mainspring.code.scan import Finding, ScanReport

_MOST = 64 << 20
_ORDER = {"info": 0, "low": 1, "medium": 2, "high": 3}


@click.command("scan")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--diff", "diff", metavar="RUN|-", help="The patch of a run, or a unified diff on standard input (-).")
@click.option("--fix", "fix", is_flag=True, help="Write safe fixes into the files, and say what was mended.")
@click.option(
    "--least",
    type=click.Choice(["info", "low", "medium", "high"]),
    default="low",
    show_default=True,
    help="Tell findings from this severity on.",
)
@click.option(
    "--import-advisories",
    "advisories",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take advisories in OSV's format (a JSON file, a zip, a folder) into the local database, and do nothing else.",
)
@json_option
def scan(paths: tuple[Path, ...], diff: str | None, fix: bool, least: str, advisories: Path | None, json_: bool) -> int:
    """Scan files and folders (default: this folder), or a patch with --diff.

    Nothing in the scanned files configures the scan. Exit status: 0 nothing was found, 1 there are findings.
    """
    from mainspring.code.scan import apply_fixes, import_advisories, scan_files, scan_patch
    from mainspring.store import default_home

    folder = default_home() / "advisories"
    output = Output.plain()
    if advisories is not None:
        taken = import_advisories(advisories, folder)
        if json_:
            output.json({"advisories": taken})
        else:
            output.text(f"{taken} {'advisory' if taken == 1 else 'advisories'} taken in")
        return 0
    if diff is not None and (paths or fix):
        raise click.UsageError("--diff scans a patch; leave out PATHS and --fix")
    root = Path.cwd()
    if diff is not None:
        patch, below = _patch(diff, root)
        report = scan_patch(patch, below, advisories=folder)
    else:
        report = scan_files(paths or (root,), root=root, advisories=folder)
    if fix:
        mended = apply_fixes(report.findings, root)
        _write(mended, root)
        for change in mended.changes:
            note(f"mended {safe(change.path, exact=True)}")
        if report.findings and not mended:
            note("nothing was mended: no finding has a safe fix")
        if mended:
            report = scan_files(paths or (root,), root=root, advisories=folder)
    shown = [one for one in report.findings if _ORDER[one.severity] >= _ORDER[least]]
    _tell(report, shown, output, json_=json_)
    return 1 if any(one.introduced for one in shown) else 0


def _tell(report: ScanReport, shown: list[Finding], output: Output, *, json_: bool) -> None:
    if json_:
        for one in shown:
            output.json(dataclasses.asdict(one))
        for text in report.notes:
            output.json({"note": text})
        return
    for one in shown:
        older = "" if one.introduced else " (was there before)"
        cwe = f" {one.cwe}" if one.cwe else ""
        output.text(f"{safe(one.path, exact=True)}:{one.line}: {one.severity} {one.rule}{cwe} [{one.id}]{older}")
        output.text(f"    {safe(one.message, exact=True)}; {safe(one.fix, exact=True)}")
        if one.snippet:
            output.text(f"    > {one_line(one.snippet, 120)}")
    for text in report.notes:
        note(safe(text, exact=True))
    if not shown:
        output.text("nothing found")


def _patch(source: str, root: Path) -> tuple[Patch, Path]:
    """A run's patch, or a diff from standard input as a patch of the files here; and the folder that it is for."""
    if source != "-":
        from mainspring.cli.code_changes import load_record

        record = load_record(source)
        return record.patch(), record.repository.top
    if sys.stdin.isatty():
        note("reading a diff from standard input; Ctrl-D ends it")
    text = sys.stdin.buffer.read(_MOST + 1)
    if len(text) > _MOST:
        raise click.UsageError(f"the diff is larger than {_MOST >> 20} MiB; scan the files instead")
    return from_diff(text, root), root


def from_diff(diff: bytes, root: Path) -> Patch:
    """The patch that a unified diff makes of the files below a folder; the files themselves stay as they are.

    Raises:
        UsageError: it names a file outside, or git cannot apply it to the files as they are.
    """
    import re
    import tempfile

    from mainspring.code.patch import FileChange, Patch

    if not diff.strip():
        return Patch(())  # what `git diff` says when nothing was changed
    named = re.findall(rb"^(?:\+\+\+ b/|--- a/|rename (?:from|to) )([^\t\r\n]+)", diff, re.M)
    names = sorted({name.decode("utf-8", "surrogateescape") for name in named})
    for name in names:
        if (
            name.startswith("/")
            or ".." in Path(name).parts
            or not (root / name).resolve().is_relative_to(root.resolve())
        ):
            raise click.UsageError(f"the diff names {name!a}, which is outside this folder")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        before: dict[str, bytes | None] = {}
        for name in names:
            file = root / name
            before[name] = file.read_bytes() if file.is_file() and not file.is_symlink() else None
            if (data := before[name]) is not None:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes(data)
        # A repository of its own, so that none around it counts; no configuration of the user is read.
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }
        subprocess.run(["git", "init", "-q"], cwd=copy, env=environment, check=True, capture_output=True)
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", "-"], cwd=copy, env=environment, input=diff, capture_output=True
        )
        if done.returncode:
            why = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
            raise click.UsageError(f"the diff does not apply to the files here: {why}")
        changes = []
        for name in names:
            file = copy / name
            after = file.read_bytes() if file.is_file() and not file.is_symlink() else None
            changes.append(FileChange(name, before[name], after))
    return Patch(tuple(changes))


def _write(patch: Patch, root: Path) -> None:
    for change in patch.changes:
        if change.after is not None:
            (root / change.path).write_bytes(change.after)
