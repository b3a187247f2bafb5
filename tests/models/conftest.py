"""Makes the helper modules in `tests/` importable from here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
