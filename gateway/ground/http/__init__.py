"""HTTP, both ways: the one way in and the one way out. Every door and every outgoing call uses it.

    listener, heads     bytes to requests: strict, linear, bounded     guard      one valid Host, method, framing
    server, entrance    ports that speak TLS, handshakes counted       tls        how, and which certificates are right
    client_certificates  what a client has shown, for every door (RFC 8705)
    peers               whose address a call comes from                problems   answers of this level (RFC 9457)
    sends               what goes out together in one turn             connector  what a call to an organisation is
    wire, transport     doing it: pools, times, breaker                reach      which addresses may be reached
    fetching            addresses that apps have given us, through the same way out
    shown               what a TLS connection shows of the gateway, and whom it trusts

It knows no person, no app and no consent.

The one invariant: whether an address may be reached is judged at the connect itself, on the very address that is
connected to, never on a name beforehand.
"""
