"""Rows on a terminal: aligned columns for people, one JSON list for machines."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def table(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        typer.echo(empty)
        return
    cells = [{name: _text(value) for name, value in row.items()} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    for row in ({name: name.upper() for name in widths}, *cells):
        typer.echo("  ".join(f"{row[name]:{width}}" for name, width in widths.items()).rstrip())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no", None: ""}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
