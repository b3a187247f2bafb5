"""Runs in the sandbox: each case in a process of its own, one line of JSON for each.

A case is a folder with ``app.py``, ``check.py`` and room for what they write.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

SECONDS = 15


def main() -> None:
    """``probe.py`` runs all cases below ``cases``; ``probe.py FOLDER`` one of them."""
    here = Path(__file__).parent
    if len(sys.argv) > 1:
        one(here / "stubs")
        return
    for folder in sorted((here / "cases").iterdir()):
        (folder / "tmp").mkdir()
        print(json.dumps({"case": folder.name, **apart(folder)}), flush=True)


def apart(folder: Path) -> dict[str, object]:
    """What one case says, or that it says nothing in time."""
    command = [sys.executable, str(Path(__file__).absolute()), folder.name]
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return {"works": False, "attack": None, "error": "no end"}
    except (IndexError, ValueError):
        return {"works": False, "attack": None, "error": done.stderr[-400:]}


def one(stubs: Path) -> None:
    """Load the program and its test from the working folder, and try both."""
    sys.path.insert(0, str(stubs))
    said: dict[str, object] = {"works": False, "attack": None, "error": ""}
    try:
        app, check = load("app"), load("check")
        check.works(app)
        said["works"] = True
    except BaseException as error:
        said["error"] = f"{type(error).__name__}: {error}"[:400]
    else:
        if hasattr(check, "attack"):
            said["attack"] = tried(check, app)
    print("\n" + json.dumps(said))


def tried(check, app) -> bool:
    """Whether the attack succeeds; one that is refused with an error does not."""
    try:
        return bool(check.attack(app))
    except Exception:
        return False


def load(name: str):
    """The module of that name in the working folder."""
    spec = importlib.util.spec_from_file_location(name, f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
