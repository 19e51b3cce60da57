"""Policy: the fixed Cedar rules of policies/, evaluated when an app asks, a person agrees and an app reads.

It knows Cedar and nothing of rooms or rows: facts come in, a decision with its reasons
goes out. It fails closed: permitted means Cedar said Allow **and** no rule erred, with
entities checked against the schema and the resource always present (a `forbid` that errs
is otherwise skipped and the permit wins).
"""

from gateway.policy.cedar import Decision, Policies, PolicyError, PolicyFacts

__all__ = ["Decision", "Policies", "PolicyError", "PolicyFacts"]
