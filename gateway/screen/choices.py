"""Reads the form of the consent screen: what the person chose, and never more than she was offered."""

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
    """Something to mend before the person can allow. `field`: name of the form's field. `text`: a message id, in which
    `contents` fills in the organisation."""

    field: str
    text: str


def accounts_name(organisation: str) -> str:
    return f"accounts:{organisation}"


def parse(
    form: Mapping[str, Sequence[str]],
    ask: Ask,
    accounts: Mapping[str, Sequence[Offered]],
    shareable: Collection[str],
    whole: Collection[tuple[str, str]] = (),
    *,
    durations: Collection[str] | None = None,
    fixed: Collection[str] = (),
    may_be_none: bool = False,
) -> Choices | list[Problem]:
    """What was chosen, or what is missing. Names and values that were not offered are ignored, and so is optional data
    of an organisation that is not `shareable` (`Showing.shareable`). `whole`: data that is of no account, so that there
    is none to choose. `durations`: those offered; None: by the request alone. `fixed`: organisations whose accounts are
    chosen already. `may_be_none`: she may allow without any data, since there is some already."""
    granted = frozenset(
        (item.organisation, item.dataset)
        for item in ask.items
        if item.necessity == "required"
        or (item.organisation in shareable and "yes" in form.get(item_name(item.organisation, item.dataset), ()))
    )
    problems: list[Problem] = []
    if not granted and not may_be_none:
        problems.append(Problem("items", N_("Choose at least one type of data, or refuse.")))
    picked: dict[str, tuple[str, ...]] = {}
    for organisation in dict.fromkeys(name for name, _ in sorted(granted)):
        chooses = organisation not in fixed
        chooses = chooses and any(name == organisation and (name, data) not in whole for name, data in granted)
        picked[organisation] = _picked(form if chooses else None, organisation, accounts.get(organisation, ()))
        if not picked[organisation]:
            problems.append(
                Problem(accounts_name(organisation), N_("%(organisation)s: choose at least one %(account)s."))
            )
    duration = next(iter(form.get("duration", ())), "")
    if duration not in (offered_durations(ask) if durations is None else durations):
        problems.append(Problem("duration", N_("Choose how long the sharing lasts.")))
    return problems or Choices(granted, picked, duration)


def _picked(form: Mapping[str, Sequence[str]] | None, organisation: str, offered: Sequence[Offered]) -> tuple[str, ...]:
    """The ticked accounts. If only one is available there is nothing to tick: the screen names it. Without a form: all
    of them."""
    available = [account.ref for account in offered if account.available]
    if form is None or len(available) == 1:
        return tuple(available)
    ticked = set(form.get(accounts_name(organisation), ()))
    return tuple(ref for ref in available if ref in ticked)
