"""`python -m mainspring.cli` is the same as `mainspring`."""

import sys

from mainspring.cli import main

sys.exit(main())
