"""A generated package to work in: modules and tests of a realistic size, the same for the same seed."""

from __future__ import annotations

import random
from pathlib import Path

MODULES = 40

_NOUNS = (
    "order invoice refund parcel customer basket price tax discount currency rate ledger stock shelf".split()  # noqa: SIM905
)
_VERBS = "add remove merge round convert check split total format find reserve release apply".split()  # noqa: SIM905


def build(folder: Path, seed: int = 5) -> None:
    """Write the package ``shop`` and its tests under `folder`."""
    chance = random.Random(seed)
    (folder / "shop").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "shop" / "__init__.py").write_text('"""A shop that counts in cents."""\n')
    for number in range(MODULES):
        names = _names(chance)
        functions = "\n\n".join(_function(chance, name) for name in names)
        head = f'"""Part {number:02d} of the shop."""\n\nfrom __future__ import annotations\n\n\n'
        (folder / "shop" / f"module_{number:02d}.py").write_text(head + functions)
        if number % 4 == 0:
            (folder / "tests" / f"test_module_{number:02d}.py").write_text(_tests(number, names))


def _names(chance: random.Random) -> list[str]:
    names = {f"{chance.choice(_VERBS)}_{chance.choice(_NOUNS)}": None for _ in range(chance.randint(5, 16))}
    return list(names)


def _function(chance: random.Random, name: str) -> str:
    factor, bound = chance.randint(2, 97), chance.randint(100, 9_000)
    what = name.replace("_", " ")
    return f'''def {name}(cents: list[int], limit: int = {bound}) -> int:
    """{what.capitalize()}: amounts above `limit` count {factor} times less.

    Args:
        cents: amounts of one {name.split("_")[1]}, in cents.
        limit: where the smaller weight begins, in cents.
    """
    total = 0
    for amount in cents:
        if amount > limit:
            total += limit + (amount - limit) // {factor}
        else:
            total += amount
    return total
'''


def _tests(number: int, names: list[str]) -> str:
    lines = [f"from shop import module_{number:02d}", ""]
    for name in names:
        lines += ["", f"def test_{name}_sums_small_amounts():"]
        lines += [f"    assert module_{number:02d}.{name}([1, 2, 3]) == 6", ""]
    return "\n".join(lines)
