"""How many random cases a test goes through: all of them in `make torture`, a sample of them in `make test`."""

import os

TORTURE = bool(os.environ.get("TORTURE"))


def many(most: int) -> int:
    return most if TORTURE else max(most // 4, 25)
