"""What an operator sees of a running gateway: structured logs, request ids, health.

A log line is one JSON object. No token, code, password or mail address ever stands in one.
"""
