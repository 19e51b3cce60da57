"""The kinds of source there are, each with its reader."""

from collections.abc import Callable
from pathlib import Path

from gateway.formats.drafting import openapi, samples, schemas, xsd
from gateway.formats.drafting.reading import Reading

Source = Callable[[list[Path], list[str], str], Reading]


SOURCES: dict[str, Source] = {
    "openapi": lambda paths, only, root: openapi.read(paths[0], only),
    "schema": lambda paths, only, root: schemas.read(paths[0], root),
    "xsd": lambda paths, only, root: xsd.read(paths[0], root),
    "sample": lambda paths, only, root: samples.read(paths),
    "csv": lambda paths, only, root: samples.read_csv(paths),
}


def read(kind: str, paths: list[Path], only: list[str], root: str) -> Reading:
    """Raises Unreadable."""
    return SOURCES[kind](paths, only, root)
