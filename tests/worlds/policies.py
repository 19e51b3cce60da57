"""The policies of a world. Those that are shipped never change, and are read once for all worlds of a process."""

import copy
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import Catalogue
from gateway.policy import Policies
from gateway.settings import shipped_policies


def read(folder: Path) -> tuple[Catalogue, Policies]:
    return _shipped() if folder == shipped_policies() else (Catalogue(folder), Policies(folder))


@functools.cache
def _shipped() -> tuple[Catalogue, Policies]:
    folder = shipped_policies()
    return Catalogue(folder), Policies(folder)


def read_once(patch: pytest.MonkeyPatch) -> None:
    """What anybody reads in this process of the shipped policies is a copy of what was read first."""
    for made in (Catalogue, Policies):
        patch.setattr(made, "__init__", _once(made.__init__))


def _once(init: Callable[[Any, Path], None]) -> Callable[[Any, Path], None]:
    first: dict[str, Any] = {}

    @functools.wraps(init)
    def read(self: Any, folder: Path) -> None:
        if folder != shipped_policies():
            init(self, folder)
            return
        if not first:
            init(self, folder)
            first.update(vars(self))
        vars(self).update(
            {name: copy.copy(value) if isinstance(value, dict) else value for name, value in first.items()}
        )

    return read
