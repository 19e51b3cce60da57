"""Files for people: a person's own copy of what an organisation holds, in the formats that people and programs know.

    native     the organisation's own JSON, page by page; in `tables` its own CSV
    midata     bank transactions as CSV          bluebutton   claims as plain text
    readings   Green Button feed and readings    claims       FHIR bundle, with that text beside it

It knows formats, and knows no consent and no page.

The one invariant: a copy is made for the person alone, from her own data, so nothing is taken out of it.
"""

from collections.abc import Callable, Mapping

from gateway.catalogue.formats import Format
from gateway.exports import claims, midata, native, readings
from gateway.formats import registry
from gateway.formats.model import Account, Download, Fetch, Source

__all__ = ["download"]

# driver → everything the organisation has about the person, all pages, as files
DRIVERS: Mapping[str, Callable[[Source, Fetch, tuple[Account, ...]], list[Download]]] = {
    "espi": readings.download,
    "fhir": claims.download,
}
# a word of a format's `files` → the files made of what was read
FILES: Mapping[str, Callable[[Format, Source, native.Read], list[Download]]] = {
    "native": native.files,
    "midata": midata.files,
}


def download(source: Source, fetch: Fetch, accounts: tuple[Account, ...]) -> list[Download]:
    """Everything an organisation has about a person, of each format in which it gives any. Only for `accounts`."""
    found: list[Download] = []
    for name in registry.formats_of(source):
        form = registry.form(source, name)
        if form.driver in DRIVERS:
            found += DRIVERS[form.driver](source, fetch, accounts)
        else:
            read = native.read(form, source, fetch, accounts)
            found += [file for word in form.files for file in FILES[word](form, source, read)]
    return found
