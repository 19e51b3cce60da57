"""The policies of a world. Those that are shipped never change, and are read once for all worlds of a process."""

import functools
from pathlib import Path

from gateway.catalogue import Catalogue
from gateway.policy import Policies
from gateway.settings import shipped_policies


def read(folder: Path) -> tuple[Catalogue, Policies]:
    return _shipped() if folder == shipped_policies() else (Catalogue(folder), Policies(folder))


@functools.cache
def _shipped() -> tuple[Catalogue, Policies]:
    folder = shipped_policies()
    return Catalogue(folder), Policies(folder)
