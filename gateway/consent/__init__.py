"""THE record: what a person agreed to, and everything that is read from it.

It owns the request as validated, the terms and their versions, the life cycle, the
evidence of what was shown, the receipts, and the counters. It knows no HTTP, no token and no
organisation's API: facts about people, apps and organisations come in as values (facts.py).

The one invariant: granted ⊆ asked ⊆ caps, and whatever is shown, issued, decided or
logged is read from the same terms.
"""
