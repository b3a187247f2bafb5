"""Failed tests told apart: one that always fails, one that is flaky, one that fails only after another."""

import tempfile
from pathlib import Path

from mainspring.tools.runners import find_flaky, run_tests

TESTS = """
import os, unittest

seen = []

class TestShop(unittest.TestCase):
    def test_a_fills(self):
        seen.append("a customer")

    def test_b_is_empty(self):
        self.assertEqual(seen, [])  # true only when nothing ran before it

    def test_c_sum(self):
        self.assertEqual(1 + 1, 3)

    def test_d_seed(self):
        self.assertNotIn(os.environ.get("PYTHONHASHSEED"), ("0", "1", "7"))  # stands for the order of a set
"""

with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "test_shop.py").write_text(TESTS)
    settings = {"command": "python -m unittest -v", "env": {"PYTHONHASHSEED": "0"}}
    report = run_tests(folder, **settings)
    print(report.text(0).splitlines()[0])
    print(find_flaky(folder, report, times=3, command=settings["command"]).text())
