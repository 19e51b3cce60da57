"""Banks: UK Open Banking account information, version 4 (JSON).

A record is a member of `Data.Account`, `Data.Balance` or `Data.Transaction`; its own time is `DateTime` of a balance
and `BookingDateTime` of a transaction (an account is a state and has none). The account numbers of the bank stay on
this side: an app sees pairwise ones, in records, paths and links. Amounts are required by the standard, so a
transaction without its amount is withheld whole. Sums and page counts that speak of what is withheld are dropped.

The one invariant: an app never sees the bank's own identifier of an account.
"""

from gateway.formats.bank.accounts import accounts
from gateway.formats.bank.plan import NEEDED, plan
from gateway.formats.bank.shapes import TABLE

__all__ = ["NEEDED", "TABLE", "accounts", "plan"]
