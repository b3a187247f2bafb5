"""What is read from small sources of each language, and where their imports lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.code.index import CodeIndex, Reference

SOURCES: dict[str, dict[str, str]] = {
    "python": {
        "src/shop/__init__.py": "from .cart import Cart as Cart\n",
        "src/shop/base.py": "class Base:\n    pass\n",
        "src/shop/cart.py": (
            "import os.path\nfrom .base import Base\nfrom shop.money import total as add_up\n\nLIMIT = 3\n\n\n"
            "class Cart(Base):\n    @property\n    def size(self) -> int:\n        return LIMIT\n\n"
            "    def sum(self, items: list[Base]) -> int:\n        def inner():\n            return add_up(items)\n"
            "        return inner()\n"
        ),
        "src/shop/money.py": "def total(items):\n    return sum(items)\n",
        "tests/test_cart.py": "from shop import Cart\n\n\ndef test_sum():\n    assert Cart().sum([]) == 0\n",
    },
    "javascript": {
        "lib/util.js": "function help(a) { return a }\nexports.other = function () {}\nmodule.exports = { help }\n",
        "lib/index.js": "export { help } from './util'\nexport const LIMIT = 3\n",
        "app.jsx": (
            "import React from 'react'\nimport { help as h } from './lib'\nconst util = require('./lib/util.js')\n"
            "class Base {}\nexport class View extends Base {\n  render() { return <Row a={h(1)} /> }\n"
            "  onClick = () => { util.other() }\n}\n"
            "const Row = (props) => { return props.a }\n"
        ),
    },
    "typescript": {
        "tsconfig.json": '{ // comments\n "compilerOptions": {"baseUrl": ".", "paths": {"@app/*": ["src/*"]},},\n}',
        "src/types.ts": (
            "export interface Shape { area(): number }\nexport enum Color { Red }\nexport type Id = string\n"
            "export abstract class Base<T> { abstract go(): void }\n"
        ),
        "src/main.tsx": (
            "import { Shape, Base } from '@app/types'\nimport { Id } from './types.js'\n"
            "class Square extends Base<Id> implements Shape {\n  area(): number { return 1 }\n  go() {}\n}\n"
            "export function draw(s: Shape): Id { return new Square().area() + '' }\n"
            "const view = () => <Panel />\n"
        ),
    },
    "go": {
        "go.mod": "module example.com/shop\n",
        "money/money.go": "package money\n\nconst Limit = 3\n\nfunc Total(a []int) int { return len(a) }\n",
        "main.go": (
            'package main\n\nimport (\n\t"fmt"\n\tm "example.com/shop/money"\n)\n\n'
            "type Base struct{}\ntype Cart struct {\n\tBase\n\titems []int\n}\n\n"
            "type Summer interface {\n\tSum() int\n}\n\n"
            "func (c *Cart) Sum() int { return m.Total(c.items) }\n\n"
            "func main() { fmt.Println((&Cart{}).Sum()) }\n"
        ),
    },
    "rust": {
        "Cargo.toml": '[package]\nname = "my-shop"\n',
        "src/lib.rs": "pub mod money;\nmod cart;\npub const LIMIT: u32 = 3;\n",
        "src/money.rs": "pub fn total(a: &[u32]) -> u32 { a.len() as u32 }\nmacro_rules! twice { () => {} }\n",
        "src/cart/mod.rs": (
            "use crate::money::{self, total};\nuse std::fmt;\npub trait Sum { fn sum(&self) -> u32; }\n"
            "pub struct Cart<T> { items: Vec<T> }\npub enum Kind { A }\n"
            "impl<T> Sum for Cart<T> {\n    fn sum(&self) -> u32 { money::total(&[]) + total(&[]) }\n}\n"
            "mod tests { use super::*; #[test] fn works() { twice!() } }\n"
        ),
        "tests/it.rs": "use my_shop::money::total;\n#[test]\nfn adds() { total(&[]); }\n",
    },
    "java": {
        "src/shop/money/Money.java": (
            "package shop.money;\npublic class Money {\n  public static final int LIMIT = 3;\n"
            "  public static int total(int[] a) { return a.length; }\n}\n"
        ),
        "src/shop/Cart.java": (
            "package shop;\nimport java.util.List;\nimport shop.money.Money;\n"
            "interface Summer { int sum(); }\nenum Kind { A }\nrecord Row(int a) {}\n"
            "public class Cart extends Base<Row> implements Summer {\n  Cart() {}\n"
            "  @Override\n  public int sum() { return Money.total(new int[0]); }\n}\nclass Base<T> {}\n"
        ),
    },
    "c": {
        "include/money.h": "#ifndef M\n#define M\nint total(int *a);\n#endif\n",
        "src/money.c": (
            '#include "money.h"\n#define LIMIT 3\n#define MAX(a, b) ((a) > (b))\nint total(int *a) { return *a; }\n'
        ),
        "src/main.c": (
            '#include <stdio.h>\n#include "money.h"\ntypedef struct cart { int size; } Cart;\nenum kind { A, B };\n'
            "static int limit = 3;\nstatic char *name(Cart *c) { return 0; }\n"
            "int main(void) { Cart c; name(&c); return total(&c.size); }\n"
        ),
    },
    "cpp": {
        "cart.hpp": (
            "namespace shop {\nclass Base {};\nclass Cart : public Base {\n public:\n  int sum() const { return 1; }\n"
            "  int size();\n};\ntemplate <typename T> T twice(T a) { return a; }\nusing Id = int;\n}\n"
        ),
        "cart.cpp": (
            '#include "cart.hpp"\nint shop::Cart::size() { return twice<int>(sum()); }\n'
            "int run() { return shop::helper(); }\n"
        ),
    },
}

DEFINED = {
    "python": {
        "class Base",
        "class Cart",
        "constant LIMIT",
        "method Cart.size",
        "method Cart.sum",
        "function Cart.sum.inner",
        "function total",
        "function test_sum",
    },
    "javascript": {
        "function help",
        "function other",
        "constant LIMIT",
        "constant util",
        "class Base",
        "class View",
        "method View.render",
        "method View.onClick",
        "function Row",
    },
    "typescript": {
        "interface Shape",
        "method Shape.area",
        "enum Color",
        "type Id",
        "class Base",
        "method Base.go",
        "class Square",
        "method Square.area",
        "method Square.go",
        "function draw",
        "function view",
    },
    "go": {
        "constant Limit",
        "function Total",
        "struct Base",
        "struct Cart",
        "interface Summer",
        "method Summer.Sum",
        "method Cart.Sum",
        "function main",
    },
    "rust": {
        "constant LIMIT",
        "function total",
        "macro twice",
        "interface Sum",
        "method Sum.sum",
        "struct Cart",
        "enum Kind",
        "method Cart.sum",
        "module tests",
        "function tests.works",
        "function adds",
    },
    "java": {
        "class Money",
        "constant Money.LIMIT",
        "method Money.total",
        "interface Summer",
        "method Summer.sum",
        "enum Kind",
        "class Row",
        "class Cart",
        "method Cart.Cart",
        "method Cart.sum",
        "class Base",
    },
    "c": {
        "macro M",
        "declaration total",
        "macro LIMIT",
        "macro MAX",
        "function total",
        "struct cart",
        "type Cart",
        "enum kind",
        "constant kind.A",
        "constant kind.B",
        "constant limit",
        "function name",
        "function main",
    },
    "cpp": {
        "module shop",
        "class shop.Base",
        "class shop.Cart",
        "method shop.Cart.sum",
        "declaration shop.Cart.size",
        "function shop.twice",
        "type shop.Id",
        "method shop.Cart.size",
        "function run",
    },
}

#: name -> (path, line, kind, inside) of every reference to it outside its own file or of another kind.
REFERRED = {
    "python": {
        "Base": {("src/shop/cart.py", 2, "import", ""), ("src/shop/cart.py", 8, "inherit", "Cart")}
        | {("src/shop/cart.py", 13, "type", "Cart.sum")},
        "total": {("src/shop/cart.py", 3, "import", ""), ("src/shop/cart.py", 15, "call", "Cart.sum.inner")},
        "LIMIT": {("src/shop/cart.py", 11, "read", "Cart.size")},
        "Cart": {("src/shop/__init__.py", 1, "import", ""), ("tests/test_cart.py", 1, "import", "")}
        | {("tests/test_cart.py", 5, "call", "test_sum")},
    },
    "javascript": {
        "Base": {("app.jsx", 5, "inherit", "View")},
        "Row": {("app.jsx", 6, "call", "View.render")},
        "other": {("app.jsx", 7, "call", "View.onClick")},
        "help": {("app.jsx", 2, "import", ""), ("app.jsx", 6, "call", "View.render"), ("lib/index.js", 1, "import", "")}
        | {("lib/util.js", 3, "read", "")},
    },
    "typescript": {
        "Shape": {("src/main.tsx", 1, "import", ""), ("src/main.tsx", 3, "inherit", "Square")}
        | {("src/main.tsx", 7, "type", "draw")},
        "Base": {("src/main.tsx", 1, "import", ""), ("src/main.tsx", 3, "inherit", "Square")},
        "Square": {("src/main.tsx", 7, "call", "draw")},
    },
    "go": {
        "Total": {("main.go", 18, "call", "Cart.Sum")},
        "Base": {("main.go", 10, "inherit", "Cart")},
        "Cart": {("main.go", 18, "type", "Cart.Sum"), ("main.go", 20, "type", "main")},
    },
    "rust": {
        "total": {("src/cart/mod.rs", 1, "import", ""), ("src/cart/mod.rs", 7, "call", "Cart.sum")}
        | {("tests/it.rs", 1, "import", ""), ("tests/it.rs", 3, "call", "adds")},
        "Sum": {("src/cart/mod.rs", 6, "inherit", "")},
        "twice": {("src/cart/mod.rs", 9, "call", "tests.works")},
    },
    "java": {
        "total": {("src/shop/Cart.java", 10, "call", "Cart.sum")},
        "Summer": {("src/shop/Cart.java", 7, "inherit", "Cart")},
        "Base": {("src/shop/Cart.java", 7, "inherit", "Cart")},
    },
    "c": {
        "total": {("src/main.c", 7, "call", "main")},
        "name": {("src/main.c", 7, "call", "main")},
        "Cart": {("src/main.c", 6, "type", "name"), ("src/main.c", 7, "type", "main")},
    },
    "cpp": {
        "Base": {("cart.hpp", 3, "inherit", "shop.Cart")},
        "twice": {("cart.cpp", 2, "call", "shop.Cart.size")},
        "sum": {("cart.cpp", 2, "call", "shop.Cart.size")},
    },
}

IMPORTS = {
    "python": {
        ("src/shop/__init__.py", "src/shop/cart.py"),
        ("src/shop/cart.py", "src/shop/base.py"),
        ("src/shop/cart.py", "src/shop/money.py"),
        ("tests/test_cart.py", "src/shop/__init__.py"),
    },
    "javascript": {
        ("app.jsx", "lib/index.js"),
        ("app.jsx", "lib/util.js"),
        ("lib/index.js", "lib/util.js"),
    },
    "typescript": {("src/main.tsx", "src/types.ts")},
    "go": {("main.go", "money/money.go")},
    "rust": {
        ("src/lib.rs", "src/money.rs"),
        ("src/lib.rs", "src/cart/mod.rs"),
        ("src/cart/mod.rs", "src/money.rs"),
        ("tests/it.rs", "src/money.rs"),
    },
    "java": {("src/shop/Cart.java", "src/shop/money/Money.java")},
    "c": {("src/money.c", "include/money.h"), ("src/main.c", "include/money.h")},
    "cpp": {("cart.cpp", "cart.hpp")},
}


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())


def opened(folder: Path, language: str) -> CodeIndex:
    write(folder, SOURCES[language])
    index = CodeIndex.open(folder)
    assert index.refresh().notes == ()
    return index


def place(found: Reference) -> tuple[str, int, str, str]:
    return found.path, found.line, found.kind, found.inside


@pytest.mark.parametrize("language", SOURCES)
def test_definitions(workspace: Path, language: str) -> None:
    index = opened(workspace, language)
    found = {f"{s.kind} {s.qualified}" for path in index.files() for s in index.symbols(path)}
    assert found == DEFINED[language]


@pytest.mark.parametrize("language", SOURCES)
def test_references(workspace: Path, language: str) -> None:
    index = opened(workspace, language)
    found = {name: {place(r) for r in index.find_references(name)} for name in REFERRED[language]}
    assert found == REFERRED[language]


@pytest.mark.parametrize("language", SOURCES)
def test_imports_lead_to_files(workspace: Path, language: str) -> None:
    index = opened(workspace, language)
    graph = index.graph
    found = {(graph.path(f), graph.path(g)) for f in graph.files() for g in graph.imports(f)}
    assert found == IMPORTS[language]


@pytest.mark.parametrize("language", SOURCES)
def test_crlf_and_bytes_that_are_no_utf8_change_nothing(workspace: Path, language: str) -> None:
    comment = "# \xe9\n" if language == "python" else "// \xe9\n"
    for path, text in SOURCES[language].items():
        if path.endswith((".toml", ".json", ".mod")):
            write(workspace, {path: text})
            continue
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_bytes((text + comment).replace("\n", "\r\n").encode("latin-1"))
    index = CodeIndex.open(workspace)
    index.refresh()
    found = {f"{s.kind} {s.qualified}" for path in index.files() for s in index.symbols(path)}
    assert found == DEFINED[language]
    assert all("\r" not in s.signature for path in index.files() for s in index.symbols(path))
