"""The keys of gateways that live for one test: made once, for each file that is made waits for the disk."""

import tempfile
from functools import cache
from pathlib import Path

from gateway.ground.keys import KeyRing


@cache
def ring() -> KeyRing:
    with tempfile.TemporaryDirectory() as folder:
        return KeyRing(Path(folder), create=True)
