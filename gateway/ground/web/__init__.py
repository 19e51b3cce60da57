"""What every room with pages or an API shares: requests, answers, languages, templates and headers.

It knows requests, answers, languages, templates and headers. It knows no person,
app, consent or token: who the caller is comes in through `identify`, given by the
composition root. Handlers are plain functions run in worker threads; they say in
their `Door` whether they read or write.

The one invariant: one request is one transaction. It is committed before the answer
leaves, refusals too, and rolled back by an exception.
"""
