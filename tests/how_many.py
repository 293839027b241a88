"""How many examples a property test draws: all of them in `make test-all` and `make soak`, a third in the fast suite.

Hypothesis draws others in every run, so that what a third misses today the next run of the fast suite may find.
"""

from __future__ import annotations

import os

ALL = "TEST_EXAMPLES"
"""The environment variable that asks for all of them, whatever its value."""


def examples(number: int) -> int:
    """`number`, or a third of it where nobody asked for all."""
    return number if os.environ.get(ALL) else max(1, number // 3)
