"""What an operator sees of a running gateway: structured logs, request ids, health, metrics.

A log line is one JSON object; a request's id is made here and stands in the answer, in the
lines of the request and in the access log. It knows no consent and no format, and it is not
the access log: what is told here may be lost, what is told there may not.

The one invariant: no token, code, password or mail address ever stands in a line, nor anything of a person in a metric.
"""
