"""Shared Signals: apps are told of what ends or changes for their own people (OpenID Shared Signals Framework 1.0).

It owns the streams of apps and the events that wait in them. It refuses to know why something happened: it hears what
is recorded in the access log (`Log.hears`), and people's signing out by way of the composition root.

The one invariant: an event is written in the transaction of its cause, for apps that know this person already, and says
nothing that the app could not ask for itself: which grant, when, why.

    rules      types of events, states, limits          tables     streams, what waits in them, who was taken out
    hearing    what is recorded becomes events          sets       an event as a signed token (RFC 8417)
    streams    a stream is made, changed, stopped       waiting    what waits is read, acknowledged, dropped
    asked      what a receiver sends, checked           api        the doors of receivers
    pushing    events on their way to an app (RFC 8935), by the one sender of `notices`

Polled events (RFC 8936) are answered at once: no call is kept waiting for one.
"""
