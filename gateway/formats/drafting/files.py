"""Opening what was named on the command line. Whatever is wrong with it is one sentence that says what to do."""

import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.formats.drafting.nodes import Unreadable

LIMIT = 32 * 2**20  # bytes of one file
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_XML: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def read(path: Path) -> bytes:
    """Raises Unreadable."""
    try:
        with path.open("rb") as opened:
            body = opened.read(LIMIT + 1)
    except FileNotFoundError:
        raise Unreadable(f"{path}: there is no such file; check the name and the folder") from None
    except IsADirectoryError:
        raise Unreadable(f"{path}: is a folder; name the files in it") from None
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror})") from None
    if len(body) > LIMIT:
        raise Unreadable(
            f"{path}: is larger than {LIMIT >> 20} MiB; a draft needs a few hundred records, cut a part out"
        )
    if body.startswith(b"\x1f\x8b"):
        raise Unreadable(f"{path}: is packed; unpack it first: gunzip --keep {shlex.quote(str(path))}")
    if not body.strip():
        raise Unreadable(f"{path}: is empty; give an answer with at least one record")
    return body


def text(path: Path, body: bytes) -> str:
    """UTF-8, with or without a mark. Raises Unreadable."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        coding = MARKS.get(body[:2], "WINDOWS-1252")
        name = shlex.quote(str(path))
        raise Unreadable(
            f"{path}: is not UTF-8; convert it first: iconv -f {coding} -t UTF-8 {name} > utf8{path.suffix}"
        ) from None


def json_value(path: Path, body: bytes) -> Any:
    """One JSON value. Raises Unreadable."""
    written = text(path, body)
    try:
        return json.loads(written, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"{path}: is not JSON (line {error.lineno}, column {error.colno}: {error.msg}); correct that place, "
            "or name another file"
        ) from None
    except RecursionError:
        raise Unreadable(f"{path}: is nested too deeply; no table can say this") from None
    except ValueError:
        raise Unreadable(
            f"{path}: is not JSON: NaN and Infinity, or a number of thousands of digits, stand in it; write numbers as "
            "JSON has them, or null"
        ) from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def document(path: Path) -> Any:
    """A schema or OpenAPI description, in JSON or YAML. Raises Unreadable."""
    body = read(path)
    if path.suffix.lower() in (".yaml", ".yml") or not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return _yaml(path, body)
    return json_value(path, body)


def _yaml(path: Path, body: bytes) -> Any:
    written = text(path, body)
    try:
        yaml = importlib.import_module("yaml")  # a gateway that only serves has no YAML library
    except ImportError:
        name = shlex.quote(str(path))
        raise Unreadable(
            f"{path}: is no JSON, and no YAML library is installed here; convert it where there is one: python -c "
            f"'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout, default=str)' < {name} "
            "> converted.json"
        ) from None
    try:
        found = yaml.load(written, Loader=_loader(yaml))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise Unreadable(f"{path}: is neither JSON nor YAML{place}; correct that place, or name another file") from None
    if not isinstance(found, dict | list):
        raise Unreadable(
            f"{path}: is neither JSON nor YAML with an object in it; name a schema or an OpenAPI description"
        )
    return found


def _loader(yaml: Any) -> Any:
    """Safe, and with the scalars of JSON alone: a member called `no` is no false, and a date is a text."""
    loader = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    left = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    resolvers = loader.yaml_implicit_resolvers.items()  # type: ignore[attr-defined]
    loader.yaml_implicit_resolvers = {  # type: ignore[attr-defined]
        first: [(tag, form) for tag, form in known if tag not in left] for first, known in resolvers
    }
    loader.add_implicit_resolver(left[0], re.compile("true|false"), list("tf"))  # type: ignore[attr-defined]
    return loader


def xml_root(path: Path, body: bytes) -> etree._Element:
    """Read without DOCTYPE, entities and network. Raises Unreadable."""
    try:
        root = etree.fromstring(body, etree.XMLParser(**_XML))
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f" (line {line})" if line else ""
        raise Unreadable(f"{path}: is not well-formed XML{place}; correct it, or name another file") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable(f"{path}: begins with a DOCTYPE, which is never read; take that line out")
    return root


def beside(path: Path, reference: str) -> Path | None:
    """The file that a reference names, if it is in the folder of `path` or below. None: it leads out of there."""
    folder = path.resolve().parent
    try:
        found = (folder / reference).resolve()
        return found if found.is_relative_to(folder) and found.is_file() else None
    except (OSError, ValueError):
        return None
