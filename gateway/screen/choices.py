"""Reading the person's form: what she chose, never more than was offered (negative case A20)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.consent.agreement import Choices
from gateway.consent.described import item_name
from gateway.consent.facts import Offered
from gateway.consent.request import Ask
from gateway.consent.terms import offered_durations
from gateway.ground.web.marks import N_


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the person has to mend before she can allow: `field` is the form's name, `text` a message id. What
    stands in the text for an organisation is filled in where the page is made (`contents`)."""

    field: str
    text: str


def accounts_name(organisation: str) -> str:
    return f"accounts:{organisation}"


def parse(
    form: Mapping[str, Sequence[str]], ask: Ask, accounts: Mapping[str, Sequence[Offered]], shareable: Collection[str]
) -> Choices | list[Problem]:
    """`Choices` within what was offered; or what is missing. Names and values that were not offered are ignored, and
    so is what is optional at an organisation that is not `shareable` (`Showing.shareable`)."""
    granted = frozenset(
        (item.organisation, item.dataset)
        for item in ask.items
        if item.necessity == "required"
        or (item.organisation in shareable and "yes" in form.get(item_name(item.organisation, item.dataset), ()))
    )
    problems: list[Problem] = []
    if not granted:
        problems.append(Problem("items", N_("Choose at least one type of data, or refuse.")))
    picked: dict[str, tuple[str, ...]] = {}
    for organisation in dict.fromkeys(name for name, _ in sorted(granted)):
        picked[organisation] = _picked(form, organisation, accounts.get(organisation, ()))
        if not picked[organisation]:
            problems.append(
                Problem(accounts_name(organisation), N_("%(organisation)s: choose at least one %(account)s."))
            )
    duration = next(iter(form.get("duration", ())), "")
    if duration not in offered_durations(ask):
        problems.append(Problem("duration", N_("Choose how long the sharing lasts.")))
    return problems or Choices(granted, picked, duration)


def _picked(form: Mapping[str, Sequence[str]], organisation: str, offered: Sequence[Offered]) -> tuple[str, ...]:
    """The ticked accounts; a single available one needs no tick, since the item itself names it."""
    available = [account.ref for account in offered if account.available]
    if len(available) == 1:
        return tuple(available)
    ticked = set(form.get(accounts_name(organisation), ()))
    return tuple(ref for ref in available if ref in ticked)
