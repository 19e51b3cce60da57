"""Health insurance: FHIR R4 as CMS Blue Button 2.0 serves it (Patient, Coverage, ExplanationOfBenefit; JSON).

A record is a resource; its own time is `billablePeriod` of an explanation of benefit (else the dates of all its
items; of a period with one edge, that date and those of the items), a coverage is a state that overlaps the window, a
patient has no time. `meta.lastUpdated` is never the time.
A resource from which anything
was taken carries the SUBSETTED tag and claims no profile. Her id at the insurer is replaced wherever it stands.

The one invariant: every resource belongs to the person; one that does not refuses the whole answer.
"""

from gateway.sectors.health.accounts import accounts
from gateway.sectors.health.download import download
from gateway.sectors.health.plan import plan

__all__ = ["accounts", "download", "plan"]
