"""What a JSON Schema says of a plain value: which types it may have, and the word and the kind of each."""

import re
from collections.abc import Mapping
from typing import Any

from gateway.formats.drafting import guesses
from gateway.formats.drafting.nodes import UNKNOWN, PlainValue

_FORMATS = {
    "date-time": "instant",
    "date": "date",
    "uuid": "uuid",
    "email": "mail",
    "idn-email": "mail",
    "uri": "address",
    "uri-reference": "address",
    "url": "address",
    "iri": "address",
    "duration": "lasting",
}
_SIMPLE = {"boolean": "b", "integer": "i", "number": "n", "null": UNKNOWN}
_BY_VALUE = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (type(None), "null"))


Schema = Mapping[Any, Any]


def types(schema: Schema) -> list[str]:
    """The types it may have, as it says or as its other keywords do. Empty: any."""
    said = schema.get("type")
    if isinstance(said, str):
        return [said]
    if isinstance(said, list):
        return list(dict.fromkeys(str(kind) for kind in said))
    values = [schema["const"]] if "const" in schema else listed(schema.get("enum"))
    if values:
        found = [kind for value in values for form, kind in _BY_VALUE if isinstance(value, form)]
        return list(dict.fromkeys(found)) or ["object"]
    if schema.keys() & {"properties", "patternProperties", "additionalProperties", "then", "else"}:
        return ["object"]
    if schema.keys() & {"items", "prefixItems"}:
        return ["array"]
    return ["string"] if schema.keys() & {"pattern", "minLength", "maxLength", "format"} else []


def plain(kind: str, schema: Schema, name: str) -> PlainValue | None:
    """A value of this type under this name. None: the type is none of JSON Schema's, or not of a plain value."""
    if kind == "string":
        return _string(schema, name)
    if kind not in _SIMPLE:
        return None
    identifier = kind == "integer" and guesses.says_identifier(name)
    return PlainValue(_SIMPLE[kind], "identifier" if identifier else "")


def _string(schema: Schema, name: str) -> PlainValue:
    if "enum" in schema or "const" in schema:
        return PlainValue("s", enough=True)
    own = {str(value).lower() for key, value in schema.items() if key.startswith("x-") and isinstance(value, str)}
    kind = _FORMATS.get(str(schema.get("format")), "")
    if not kind and any("datetime" in value for value in own):
        kind = "instant"
    if not kind and any("datestring" in value or value == "date" for value in own):
        kind = "date"
    if kind:
        return PlainValue("s", kind)
    if schema.get("format") == "decimal" or _only_decimals(schema.get("pattern")):
        return PlainValue("d")
    words = guesses.words_of(name)
    if words & {"datetime", "timestamp"} or {"date", "time"} <= words:
        return PlainValue("s", "instant")
    if name.lower().endswith("date"):
        return PlainValue("s", "date")
    kind = guesses.kind_by_name(name)
    return PlainValue("s" if kind or not guesses.says_text(name) else "x", kind)


def _only_decimals(pattern: object) -> bool:
    if not isinstance(pattern, str) or len(pattern) > 200:
        return False
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return bool(compiled.search("12.50")) and not any(compiled.search(text) for text in ("ab", "1a", "1.2.3", "a1", ""))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
