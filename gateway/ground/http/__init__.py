"""HTTP, both ways: the one way in and the one way out. Every door and every outgoing call uses it; no room owns it.

    listener, heads   bytes to requests: strict, linear, bounded       guard   one valid Host, method, headers, framing
    peers             whose address a call comes from                  sends   what goes out together in one turn
    connector         what a call to an organisation is                wire, transport   doing it: pools, times, breaker
    reach             which addresses may be reached, judged at the connect itself

It knows no person, no app and no consent.
"""
