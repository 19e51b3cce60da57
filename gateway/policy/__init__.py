"""Policy: the fixed Cedar rules of policies/, evaluated when an app asks, a person agrees and an app reads.

It alone knows Cedar; it knows no room and no row: facts come in, a decision with its reasons goes out.
Entities are checked against the schema and the resource is always present (a `forbid` that errs
is otherwise skipped and the permit wins).

The one invariant: it fails closed. Permitted means Cedar said Allow **and** no rule erred.
"""

from gateway.policy.cedar import Decision, Policies, PolicyError, PolicyFacts

__all__ = ["Decision", "Policies", "PolicyError", "PolicyFacts"]
