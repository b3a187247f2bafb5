"""What is defined where in a repository, who uses it, and what a change may break; no model is needed.

python examples/22_repository.py
"""

import tempfile
from pathlib import Path

from mainspring.code.index import CodeIndex

FILES = {
    "shop/__init__.py": "from shop.prices import total\n",
    "shop/prices.py": "def total(cart):\n    return sum(map(net, cart))\n\n\ndef net(p):\n    return p * 0.81\n",
    "shop/till.py": "from shop import total\n\n\ndef pay(cart):\n    return f'{total(cart):.2f} EUR'\n",
    "tests/test_till.py": "from shop.till import pay\n\n\ndef test_pay():\n    assert pay([100]) == '81.00 EUR'\n",
}


def main() -> None:
    """Index a small shop, ask what a change of `net` touches, and edit it."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "shop-repository"
        for path, text in FILES.items():
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            (repository / path).write_text(text)

        index = CodeIndex.open(repository, home=Path(folder) / "home")
        found = index.refresh()
        print(f"{found.files} files, {found.symbols} symbols")
        for symbol in index.find_definition("net").symbols:
            print(f"defined: {symbol.path}:{symbol.first} {symbol.signature}")
        for call in index.who_calls("total"):
            print(f"called:  {call.path}:{call.line} in {call.inside}: {call.excerpt}")

        change = index.blast_radius("shop/prices.py:net")
        print("reached through calls:", ", ".join(symbol.qualified for symbol in change.further))
        print("tests to run:", ", ".join(test.test for test in change.tests))

        with (repository / "shop/till.py").open("a") as file:
            file.write("\n\ndef refund(cart):\n    return -total(cart)\n")
        print("changed files parsed again:", index.update(["shop/till.py"]))
        print("now called in:", ", ".join(call.inside for call in index.who_calls("total")))
        index.close()


if __name__ == "__main__":
    main()
