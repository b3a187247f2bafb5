"""Which files of the repository an import means."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from mainspring.code.index.facts import Import

__all__ = ["Resolver"]

_SCRIPTS = (".ts", ".tsx", ".js", ".jsx", ".mts", ".cts", ".mjs", ".cjs", ".d.ts")
_GO_MODULE = re.compile(r"^\s*module\s+(\S+)", re.MULTILINE)
_CARGO_NAME = re.compile(r"^\s*\[(?:package|lib)\][^\[]*?^\s*name\s*=\s*\"([\w-]+)\"", re.MULTILINE | re.DOTALL)
_JSON_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


class Resolver:
    """Made for one set of files; another set needs another one.

    Args:
        files: path -> number.
        packages: path -> package, for languages whose files say it.
        settings: path -> text of the files that say where imports lead.
    """

    def __init__(self, files: Mapping[str, int], packages: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self._files = files
        self._packages = packages
        self._settings = settings

    def resolve(self, path: str, language: str, imports: Iterable[Import]) -> set[int]:
        """The numbers of the files that a file imports; what is not in the repository is left out."""
        how: Callable[[str, Import], Iterable[str | None]] | None = {
            "python": self._python,
            "javascript": self._script,
            "typescript": self._script,
            "tsx": self._script,
            "go": self._go,
            "rust": self._rust,
            "java": self._java,
            "c": self._include,
            "cpp": self._include,
        }.get(language)
        if how is None:
            return set()
        found = {self._files[p] for one in imports for p in how(path, one) if p is not None and p in self._files}
        found.discard(self._files.get(path, -1))
        return found

    def _python(self, path: str, one: Import) -> Iterator[str | None]:
        if one.level:
            folder = posixpath.dirname(path)
            for _ in range(one.level - 1):
                folder = posixpath.dirname(folder)
            base = posixpath.join(folder, *one.module.split(".")) if one.module else folder
            yield from self._taken(one.names, lambda n: self._python_file(posixpath.join(base, n)), base)
            return
        modules = self._modules
        if one.names:
            near = posixpath.join(posixpath.dirname(path), *one.module.split("."))
            known = modules.get(one.module) or self._python_file(near)
            for name in one.names:
                yield modules.get(f"{one.module}.{name}") or known
            return
        parts = one.module.split(".")
        for length in range(len(parts), 0, -1):
            found = modules.get(".".join(parts[:length]))
            if found is not None:
                yield found
                return
        yield self._python_file(posixpath.join(posixpath.dirname(path), *parts))

    def _taken(self, names: tuple[str, ...], inner: Callable[[str], str | None], base: str) -> Iterator[str | None]:
        whole = self._python_file(base)
        if not names:
            yield whole
        for name in names:
            yield inner(name) or whole

    def _python_file(self, base: str) -> str | None:
        for candidate in (f"{base}.py", posixpath.join(base, "__init__.py"), f"{base}.pyi"):
            if candidate in self._files:
                return candidate
        return None

    @cached_property
    def _modules(self) -> dict[str, str]:
        """Dotted names of Python modules: from the folder above their outermost package, and from the top."""
        found: dict[str, str] = {}
        for path in self._files:
            base, dot, extension = path.rpartition(".")
            if dot and extension in ("py", "pyi", "pyw"):
                parts = base.split("/")
                if parts[-1] == "__init__":
                    parts.pop()
                start = len(parts) - 1
                while start > 0 and "/".join((*parts[:start], "__init__.py")) in self._files:
                    start -= 1
                for first in {start, 0, 1 if parts[:1] in (["src"], ["lib"]) else 0}:
                    name = ".".join(parts[first:])
                    if name and (name not in found or (extension == "py" and found[name].endswith(".pyi"))):
                        found[name] = path
        return found

    def _script(self, path: str, one: Import) -> Iterator[str | None]:
        module = one.module
        if module.startswith("."):
            yield self._script_file(posixpath.normpath(posixpath.join(posixpath.dirname(path), module)))
            return
        for folder, base, patterns in self._tsconfigs:
            if folder and not path.startswith(f"{folder}/"):
                continue
            for pattern, targets in patterns:
                head, star, tail = pattern.partition("*")
                if module.startswith(head) and module.endswith(tail) if star else module == pattern:
                    middle = module[len(head) : len(module) - len(tail)]
                    for target in targets:
                        place = posixpath.normpath(posixpath.join(folder, base, target.replace("*", middle)))
                        found = self._script_file(place)
                        if found is not None:
                            yield found
                            return
            if base:
                yield self._script_file(posixpath.normpath(posixpath.join(folder, base, module)))
        for name, folder in self._script_packages.items():
            if module == name or module.startswith(f"{name}/"):
                rest = module[len(name) :].strip("/")
                for place in (posixpath.join(folder, rest), posixpath.join(folder, "src", rest)):
                    yield self._script_file(posixpath.normpath(place))

    def _script_file(self, base: str) -> str | None:
        if base in self._files:
            return base
        stem, _, extension = base.rpartition(".")
        stems = [base, *([stem] if extension in ("js", "jsx", "mjs", "cjs") else [])]  # TypeScript imports "./a.js"
        for one in (*stems, posixpath.join(base, "index")):
            for end in _SCRIPTS:
                if one + end in self._files:
                    return one + end
        return None

    @cached_property
    def _tsconfigs(self) -> list[tuple[str, str, list[tuple[str, list[str]]]]]:
        found = []
        for path, text in self._settings.items():
            if posixpath.basename(path) in ("tsconfig.json", "jsconfig.json"):
                options = _json(text).get("compilerOptions")
                options = options if isinstance(options, dict) else {}
                base, paths = options.get("baseUrl"), options.get("paths")
                patterns = [
                    (pattern, [t for t in targets if isinstance(t, str)])
                    for pattern, targets in (paths.items() if isinstance(paths, dict) else ())
                    if isinstance(targets, list)
                ]
                found.append((posixpath.dirname(path), base if isinstance(base, str) else "", patterns))
        return sorted(found, key=lambda c: -len(c[0]))

    @cached_property
    def _script_packages(self) -> dict[str, str]:
        names = {
            _json(text).get("name"): posixpath.dirname(path)
            for path, text in self._settings.items()
            if posixpath.basename(path) == "package.json"
        }
        return {name: folder for name, folder in names.items() if isinstance(name, str) and name}

    def _go(self, path: str, one: Import) -> Iterable[str]:
        for module, folder in self._go_modules:
            if one.module == module or one.module.startswith(f"{module}/"):
                place = posixpath.normpath(posixpath.join(folder, one.module[len(module) :].strip("/")))
                inside = self._folders.get("" if place == "." else place, [])
                return [p for p in inside if p.endswith(".go") and not p.endswith("_test.go")]
        return ()

    @cached_property
    def _go_modules(self) -> list[tuple[str, str]]:
        found = []
        for path, text in self._settings.items():
            module = _GO_MODULE.search(text) if posixpath.basename(path) == "go.mod" else None
            if module is not None:
                found.append((module.group(1).strip('"'), posixpath.dirname(path)))
        return sorted(found, key=lambda m: -len(m[0]))

    @cached_property
    def _folders(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._files:
            found.setdefault(posixpath.dirname(path), []).append(path)
        return found

    def _rust(self, path: str, one: Import) -> Iterator[str | None]:
        root = self._crate(path)
        inside = path[len(root) :].strip("/").removesuffix(".rs").split("/")
        here = inside[:-1] if inside[-1] in ("mod", "lib", "main") else inside
        if one.module.startswith("mod "):
            yield self._rust_file(root, [*here, one.module[4:]])
            return
        parts = [part for part in one.module.split("::") if part]
        if not parts:
            return
        start: list[str] | None = None
        if parts[0] == "crate":
            start, parts = [], parts[1:]
        elif parts[0] in ("self", "super"):
            start = list(here)
            around = one.level  # modules of the same file come first
            while parts and parts[0] in ("self", "super"):
                if parts.pop(0) == "super":
                    start = start if around else start[:-1]
                    around = max(0, around - 1)
        elif parts[0] in self._crates:
            root, start, parts = self._crates[parts[0]], [], parts[1:]
        for base in (start,) if start is not None else (here, []):
            for length in range(len(parts), -1 if start is not None else 0, -1):
                found = self._rust_file(root, [*base, *parts[:length]])
                if found is not None:
                    yield found
                    return

    def _rust_file(self, root: str, parts: list[str]) -> str | None:
        base = posixpath.join(root, *parts)
        ends = [f"{base}.rs", f"{base}/mod.rs"] if parts else [posixpath.join(root, n) for n in ("lib.rs", "main.rs")]
        return next((p for p in ends if p in self._files), None)

    def _crate(self, path: str) -> str:
        folder = posixpath.dirname(path)
        while folder:
            if any(posixpath.join(folder, name) in self._files for name in ("lib.rs", "main.rs")):
                return folder
            folder = posixpath.dirname(folder)
        return posixpath.dirname(path)

    @cached_property
    def _crates(self) -> dict[str, str]:
        found = {}
        for path, text in self._settings.items():
            name = _CARGO_NAME.search(text) if posixpath.basename(path) == "Cargo.toml" else None
            if name is not None:
                found[name.group(1).replace("-", "_")] = posixpath.join(posixpath.dirname(path), "src")
        return found

    def _java(self, path: str, one: Import) -> Iterable[str]:
        parts = one.module.split(".")
        if parts[-1] == "*" and "static" not in one.names:
            return self._java_packages.get(".".join(parts[:-1]), ())
        while parts:
            found = self._java_classes.get(".".join(parts))
            if found is not None:
                return (found,)
            parts.pop()
        return ()

    @cached_property
    def _java_classes(self) -> dict[str, str]:
        return {
            f"{package}.{posixpath.basename(path).removesuffix('.java')}": path
            for path, package in sorted(self._packages.items(), reverse=True)
            if path.endswith(".java")
        }

    @cached_property
    def _java_packages(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path, package in self._packages.items():
            if path.endswith(".java"):
                found.setdefault(package, []).append(path)
        return found

    def _include(self, path: str, one: Import) -> Iterator[str | None]:
        near = posixpath.normpath(posixpath.join(posixpath.dirname(path), one.module))
        if near in self._files:
            yield near
            return
        ending = posixpath.normpath(one.module)
        fitting = [
            p for p in self._named.get(posixpath.basename(ending), ()) if p == ending or p.endswith(f"/{ending}")
        ]
        if fitting:
            yield max(fitting, key=lambda p: (len(posixpath.commonprefix([p, path])), -len(p), p))

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._files:
            found.setdefault(posixpath.basename(path), []).append(path)
        return found


def _json(text: str) -> dict[str, Any]:
    """A JSON object as tsconfig files have it, with comments and commas too many; {} when it is none."""
    plain = _TRAILING_COMMA.sub(r"\1", _JSON_COMMENT.sub(lambda m: m.group(1) or "", text))
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
