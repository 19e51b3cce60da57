"""What a sample seems to be, where it is not what the declaration says. Only trials ask; a guess, told as one.

driver()   another driver      table()   a table with another separator, or in another encoding
xml()      XML in another encoding, or that says another than it is in
"""

import csv
import json
import re
from collections.abc import Collection, Iterator

from gateway.catalogue.formats import ENCODINGS, SEPARATORS, Format
from gateway.catalogue.shapes import members
from gateway.formats.csv_reading import CODECS
from gateway.formats.xml_parsing import same_encoding

_SHOWN = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "|"}
_WRITTEN = {"\t": "\\t"}
_SIXTEEN = (b"\xff\xfe", b"\xfe\xff")  # byte order marks of UTF-16
_BEFORE_ISO = re.compile(rb"[\x80-\x9f]")  # letters of windows-1252, control characters of iso-8859-1
_LINES = 5  # of a table, that are looked at


def driver(form: Format, body: bytes) -> str:
    """A sentence; "": nothing can be said."""
    text = body.strip()
    if not text:
        return "it is empty"
    if text.startswith(_SIXTEEN) or b"\0" in text[:64]:
        return "it seems to be UTF-16: save it as UTF-8"
    if form.driver in ("json", "ndjson") and not _is_utf8(text):
        return "it is not UTF-8, which JSON is written in: save it so"
    seems = _driver(text.removeprefix(b"\xef\xbb\xbf").lstrip())
    if seems == "html":
        return "it seems to be a page of HTML, as of a sign-in or an error: give the answer of the API itself"
    return f'it seems to be {seems.upper()}: is driver = "{seems}" right?' if seems not in ("", form.driver) else ""


def _driver(text: bytes) -> str:
    if re.match(rb"<(?:!doctype\s+)?html\b", text, re.IGNORECASE):
        return "html"
    if text.startswith(b"<"):
        return "xml"
    if _is_json(text):
        return "json"
    lines = [line for line in text.splitlines() if line.strip()]
    if text[:1] in b"{[":
        return "ndjson" if len(lines) > 1 and _is_json(lines[0]) else ""
    counts = [{line.count(each.encode()) for line in lines[:_LINES]} for each in SEPARATORS.values()]
    return "csv" if len(lines) > 1 and any(len(found) == 1 and 0 not in found for found in counts) else ""


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeError:
        return False
    return True


# ---- tables


def table(form: Format, body: bytes, known: Collection[str]) -> str:
    """A sentence on the encoding or the separator; "": both seem right. `known`: columns that are declared."""
    return encoding(form, body) or _separator(form, body, known)


def encoding(form: Format, body: bytes) -> str:
    """A sentence on the encoding; "": it may be as declared."""
    if body.startswith(_SIXTEEN) or b"\0" in body[:64]:
        return f"the file seems to be UTF-16, which is not read: save it as {form.encoding}"
    if body.isascii():
        return ""
    seems = _unlike(form.encoding, body)
    return _seems(form, seems, "the file", "[format.csv]") if seems else ""


def _unlike(encoding: str, body: bytes) -> str:
    """The encoding that a text seems to be in, if it is not this one; "": it may be."""
    if body.isascii() or _is_utf8(body) == (encoding == "utf-8"):
        return ""
    if encoding != "utf-8":
        return "utf-8"
    return "windows-1252" if _BEFORE_ISO.search(body) else "iso-8859-1"


def _seems(form: Format, name: str, what: str, where: str) -> str:
    return f'{what} seems to be {name}, and is read as {form.encoding}: write encoding = "{name}" in {where}'


# ---- XML

_NAMED = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def named(body: bytes) -> str:
    """The encoding that the first line of XML says; "": it says none."""
    found = _NAMED.match(body)
    return found[1].decode() if found else ""


def xml(form: Format, body: bytes) -> str:
    """A sentence on the encoding; "": it may be as declared."""
    says = named(body)
    known = next((each for each in ENCODINGS if same_encoding(says, each)), "") if says else form.encoding
    if not known:
        return f"its first line says {says}, which is not read: it has to come in one of {', '.join(ENCODINGS)}"
    seems = _unlike(known, body)
    if says and seems:
        return f"its first line says {says}, and it seems to be {seems}: the organisation has to send what it says"
    if seems:
        return _seems(form, seems, "it", "[format]")
    if known == form.encoding or (says and same_encoding(says, form.encoding)):
        return ""
    return f'its first line says {says}, and it is read as {form.encoding}: write encoding = "{known}" in [format]'


def _separator(form: Format, body: bytes, known: Collection[str]) -> str:
    text = body.decode(CODECS[form.encoding], "replace").removeprefix("\ufeff")
    first = next((line for line in text.splitlines() if line.strip()), "")
    heads = {each: _names(first, each) for each in SEPARATORS.values()}
    seems = max(heads, key=lambda each: (len(heads[each] & set(known)), len(heads[each])))
    here, there = heads[form.separator], heads[seems]
    if seems == form.separator or len(there) < 2 or len(there & set(known)) < len(here & set(known)):
        return ""
    if len(here) > 1 and not len(there & set(known)) > len(here & set(known)):
        return ""  # both make columns, and none of them more that are known
    written = _WRITTEN.get(seems, seems)
    return (
        f"its columns seem to be separated by {_SHOWN[seems]}, and [format.csv] reads {_SHOWN[form.separator]}: "
        f'write separator = "{written}"'
    )


def _names(line: str, separator: str) -> set[str]:
    try:
        return {cell.strip() for row in csv.reader([line], delimiter=separator) for cell in row}
    except csv.Error:
        return set()


def columns(form: Format) -> Iterator[str]:
    """The names of columns that the types of record have."""
    for kind in form.records:
        if kind in form.shapes:
            yield from members(form.shapes, kind)
