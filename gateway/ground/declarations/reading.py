"""Reading a declaration, and its hash."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.errors import DeclarationError, Fault


def load(path: Path) -> dict[str, Any]:
    """The parsed TOML file. Raises DeclarationError when it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeclarationError(str(path), [Fault("file", f"cannot be read ({error.strerror})")]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DeclarationError(str(path), [Fault("file", f"is not TOML: {error}")]) from None


def digest(document: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the document as JSON with sorted keys and no white space, so that its layout does not matter."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
