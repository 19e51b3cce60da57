"""Energy: Green Button, NAESB ESPI in Atom feeds (XML).

A record is an IntervalReading or a UsageSummary; its own time is `timePeriod` (start and duration, epoch seconds) or
`billingPeriod`. Entries belong together by their links, not by their order: a usage point of the person takes its
meter readings, blocks and summaries with it, one that is not granted takes them all away. What leaves is written
anew from what was recognised: our addresses, derived ids, neutral titles (theirs is often the street), blocks of
exactly the readings inside the window. Long runs of readings never become objects: a strict grammar recognises them
as bytes, and what it does not recognise goes the slow way through the XML tree.

Utilities send more than the format says: what is unknown is left aside, counted, and noted by its place (`skipped`),
unless it could change what something known means, or whose it is; ids are opaque (`ids`).

The one invariant: what was not recognised does not leave, and what leaves is valid by the ESPI schema.
"""

from gateway.formats.espi.accounts import accounts
from gateway.formats.espi.calls import paths
from gateway.formats.espi.plan import NEEDED, plan
from gateway.formats.espi.shapes import TABLE

__all__ = ["NEEDED", "TABLE", "accounts", "paths", "plan"]
