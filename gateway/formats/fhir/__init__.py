"""Health insurance: FHIR R4 as CMS Blue Button 2.0 serves it (Patient, Coverage, ExplanationOfBenefit; JSON).

A record is a resource. The time of an explanation of benefit is its `billablePeriod`, or the dates of its items if it
has none, or both if one end of the period is missing. A coverage lasts for a period, which must overlap the window. A
patient has no time. `meta.lastUpdated` is never the time.
A resource from which anything
was taken carries the SUBSETTED tag and claims no profile. Her id at the insurer is replaced wherever it stands.

The one invariant: every resource belongs to the person; one that does not refuses the whole answer.
"""

from gateway.formats.fhir.accounts import accounts
from gateway.formats.fhir.plan import NEEDED, plan
from gateway.formats.fhir.shapes import TABLE

__all__ = ["NEEDED", "TABLE", "accounts", "plan"]
