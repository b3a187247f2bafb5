"""The files of a repository that matter for a task, in as many tokens as there is room for.

python examples/23_repository_map.py
"""

import tempfile
from pathlib import Path

from mainspring.code.index import CodeIndex
from mainspring.code.repomap import repo_map

SHOP = {
    "shop/basket.py": """
from shop.coupons import CouponBook
from shop.money import Money


class Basket:
    def __init__(self, coupons: CouponBook):
        self.coupons = coupons
        self.items: list[Money] = []

    def total_price(self, code: str = "") -> Money:
        whole = Money(sum(item.cents for item in self.items))
        return self.coupons.apply_discount(whole, code)
""",
    "shop/coupons.py": """
from shop.money import Money


class CouponBook:
    def apply_discount(self, price: Money, code: str) -> Money:
        return Money(price.cents * (100 - self.percent_of(code)) // 100)

    def percent_of(self, code: str) -> int:
        return {"SPRING": 20}.get(code, 0)
""",
    "shop/money.py": """
class Money:
    def __init__(self, cents: int):
        self.cents = cents
""",
    "shop/letters.py": """
def thank_customer(name: str) -> str:
    return f"Thank you, {name}"
""",
    "tests/test_basket.py": """
from shop.basket import Basket
from shop.coupons import CouponBook


def test_a_coupon_lowers_the_total():
    assert Basket(CouponBook()).total_price("SPRING").cents == 0
""",
}


def main() -> None:
    """Index a small shop, and map it for a bug report and for a failing test."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in SHOP.items():
            file = Path(folder, path)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text.lstrip())
        index = CodeIndex.open(folder)
        index.refresh()
        report = repo_map(index, budget=60, task="The discount of a coupon is rounded the wrong way")
        print(f"for the report, {report.tokens} tokens:\n{report.text}")
        failing = repo_map(index, budget=40, failing=["tests/test_basket.py::test_a_coupon_lowers_the_total"])
        print(f"for the failing test, {failing.tokens} tokens:\n{failing.text}")


if __name__ == "__main__":
    main()
