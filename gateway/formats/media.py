"""Media types of answers, compared without their parameters. UTF-8 is the only character set accepted, unless a format
declares another."""

from collections.abc import Collection, Mapping

from gateway.formats.model import UnknownShape

UTF_8 = ("utf-8", "utf8", "us-ascii")
# encoding of a declaration → what a header may call it
CHARSETS: Mapping[str, Collection[str]] = {
    "utf-8": UTF_8,
    "iso-8859-1": ("iso-8859-1", "latin1", "us-ascii"),
    "windows-1252": ("windows-1252", "cp1252", "us-ascii"),
}


def expect(header: str, known: Collection[str], charsets: Collection[str] = UTF_8) -> None:
    """Raises UnknownShape if the answer has another media type, or another character set."""
    if header in known:
        return
    kind, *parameters = (part.strip().lower() for part in header.split(";"))
    if kind not in known:
        raise UnknownShape("content-type")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in charsets:
            raise UnknownShape("content-type")
