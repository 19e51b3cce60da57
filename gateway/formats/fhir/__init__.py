"""Health insurance: FHIR R4 as CMS Blue Button 2.0 serves it (Patient, Coverage, ExplanationOfBenefit; JSON).

A record is a resource. The time of an explanation of benefit is its `billablePeriod`, or the dates of its items if it
has none, or both if one end of the period is missing. A coverage lasts for a period, which must overlap the window. A
patient has no time. `meta.lastUpdated` is never the time.
A resource from which anything
was taken carries the SUBSETTED tag and claims no profile. Her id at the insurer is replaced wherever it stands.

Of what comes with the matches of a search (warnings, included resources) nothing is given. A member that the tables do
not know is skipped and told; at an organisation that is declared strict it refuses the answer, and everywhere so does
what cannot be judged: a modifier, another type, an owner or a time that cannot be read.

The one invariant: every match belongs to the person; one that does not refuses the whole answer.
"""

from gateway.formats.fhir.accounts import accounts
from gateway.formats.fhir.calls import paths
from gateway.formats.fhir.plan import NEEDED, plan
from gateway.formats.fhir.shapes import TABLE

__all__ = ["NEEDED", "TABLE", "accounts", "paths", "plan"]
