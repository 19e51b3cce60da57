"""`aval settings`: every setting, its value, where it comes from, what it is for."""

import json
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from gateway.cli.opening import settings, source, without_password
from gateway.settings import Settings

HIDDEN = "(hidden)"
ADDRESSES = ("postgresql://", "postgres://")  # may hold a password


def show(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List every setting: value, where it comes from, what it is for. Secrets are hidden.

    \b
    aval settings                          as a table
    AVAL_TOKEN_SECONDS=120 aval settings   a variable wins over the file, the file over the default
    AVAL_CONFIG=/etc/aval.toml aval settings --json
    """
    found = rows(settings())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    width = max(len(row["name"]) for row in found)
    for row in found:
        typer.echo(f"{row['name']:{width}}  {_text(row['value'])}  ({row['source']})")
        typer.echo(f"{'':{width}}  {row['description']}; {row['variable']}\n")


def rows(using: Settings) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "value": _shown(getattr(using, name)),
            "source": source(name),
            "variable": f"AVAL_{name.upper()}",
            "description": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, str) and value.startswith(ADDRESSES):
        return without_password(value)
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, bool | int | float) or value is None else str(value)


def _text(value: Any) -> str:
    if value in (None, "", []):
        return "–"
    return ", ".join(value) if isinstance(value, list) else str(value)
