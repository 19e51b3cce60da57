"""Whether the image has all that the programs in it need: the last step of its build, run in it and by its user.

    python3 whole.py /usr/lib /opt/aval

    1. each library and each module in machine code below these folders loads, every symbol bound. A package that is not
       in the Containerfile's list is noticed here, not on the day when somebody's call is the first to need it
    2. certificates are trusted: there are authorities where OpenSSL looks
    3. the gateway can be imported, and its data plane is compiled

Ends 1 where one of them does not hold, and says what.
"""

import ctypes
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path


def faults(folder: Path) -> Iterator[str]:
    """What does not load, and why."""
    for path in sorted(folder.rglob("*.so*")):
        try:
            ctypes.CDLL(str(path))
        except OSError as error:
            yield f"{path}: {error}"


def gateway_faults() -> Iterator[str]:
    if not ssl.create_default_context().cert_store_stats()["x509_ca"]:
        yield "no authority is trusted"
    import gateway.app  # noqa: F401  only now: what it lacks was said above
    from gateway import compiled

    if not compiled.in_use():
        yield "the data plane is not compiled"


if __name__ == "__main__":
    found = [each for folder in sys.argv[1:] for each in faults(Path(folder))] or list(gateway_faults())
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    sys.exit(bool(found))
