"""Files for people: a person's own copy of what an organisation holds, in the formats that people and programs know.

    midata     bank transactions as CSV          bluebutton   claims as plain text
    readings   Green Button feed and readings    claims       FHIR bundle, with that text beside it

It knows formats. It does not know consents or pages. The one invariant: a copy is made for the person alone, from her own
data, so nothing is taken out of it.
"""

from collections.abc import Callable, Mapping

from gateway.exports import claims, midata, readings
from gateway.formats.model import Account, Download, Fetch, Source

__all__ = ["DOWNLOADS"]

# sector → everything the organisation has about the person, all pages, as files
DOWNLOADS: Mapping[str, Callable[[Source, Fetch, tuple[Account, ...]], list[Download]]] = {
    "bank": midata.download,
    "energy": readings.download,
    "health": claims.download,
}
