"""The kinds of source there are, each with its reader."""

from collections.abc import Callable
from pathlib import Path

from gateway.formats.drafting import openapi, samples, schemas, xsd
from gateway.formats.drafting.reading import AnswerShape, Reading

Source = Callable[[list[Path], list[str], str], Reading]


def _schema(paths: list[Path], only: list[str], root: str) -> Reading:
    reading = Reading("json")
    node, reading.title, place = schemas.reading_node(paths[0], root, reading.notes.append)
    reading.answers.append(AnswerShape("records", node))
    reading.told.append(f"JSON Schema, read from {place if place != '#' else 'its root'}")
    return reading


SOURCES: dict[str, Source] = {
    "openapi": lambda paths, only, root: openapi.read(paths[0], only),
    "schema": _schema,
    "xsd": lambda paths, only, root: xsd.read(paths[0], root),
    "sample": lambda paths, only, root: samples.read(paths),
    "csv": lambda paths, only, root: samples.read_csv(paths),
}


def read(kind: str, paths: list[Path], only: list[str], root: str) -> Reading:
    """Raises Unreadable."""
    return SOURCES[kind](paths, only, root)
