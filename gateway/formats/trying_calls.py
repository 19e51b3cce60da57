"""Of which call of a format an answer is: each is tried, and the one that reads it best is taken."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.catalogue.formats import FormatCall
from gateway.catalogue.shapes import members
from gateway.formats import seeming
from gateway.formats.explaining import undeclared
from gateway.formats.model import UnknownShape
from gateway.formats.trials import NotTried, TrialTerms
from gateway.formats.trying import Tried

_WORD = re.compile(r"\{[a-z_]+\}")


@dataclass(frozen=True, slots=True)
class Fit:
    """How well an answer fits a call."""

    call: FormatCall
    records: int = 0
    known: int = 0
    unknown: int = 0
    why_not: str = ""

    @property
    def good(self) -> tuple[bool, int, int]:
        return self.records > 0, -self.unknown, self.known


def fits(tried: Tried, body: bytes, calls: Iterable[FormatCall]) -> list[Fit]:
    """Best first."""
    found = [_fit(tried, body, call) for call in calls]
    return sorted(found, key=lambda fit: (not fit.why_not, fit.good), reverse=True)


def _fit(tried: Tried, body: bytes, call: FormatCall) -> Fit:
    try:
        tried.taking(call).records(body)
        trial = tried.run(call, body, TrialTerms(), explain=False)
        value, word = tried.taking(call).whole(body)
    except (UnknownShape, ValueError, RecursionError) as error:
        where = error.where if isinstance(error, UnknownShape) else ""
        return Fit(call, known=_known_in(tried, call, body), why_not=tried.refusals.told(call, body, where))
    if trial.refusal and not trial.counts.records_withheld:
        return Fit(call, known=_known_in(tried, call, body), why_not=trial.refusal)
    return Fit(
        call,
        trial.counts.records + trial.counts.records_withheld,
        len(_known(tried.form.shapes, word, value)),
        len(undeclared(tried.form.shapes, word, value)),
    )


def _known_in(tried: Tried, call: FormatCall, body: bytes) -> int:
    try:
        value, word = tried.taking(call).whole(body)
    except (ValueError, RecursionError):
        return 0
    return len(_known(tried.form.shapes, word, value))


def guess(tried: Tried, body: bytes, dataset: str = "") -> tuple[FormatCall, tuple[str, ...]]:
    """The call, and others that the answer fits as well and in the same way. Raises NotTried."""
    calls = [call for call in tried.calls() if dataset in ("", call.dataset)]
    if len(calls) == 1:
        return calls[0], ()
    found = fits(tried, body, calls)
    if not found or found[0].why_not or not found[0].known:
        raise NotTried(_of_none(tried, body, found))
    best = [fit.call for fit in found if not fit.why_not and fit.good == found[0].good]
    if len({(call.dataset, call.records, tried.form.place(call)) for call in best}) > 1:
        names = ", ".join(f"{call.name} ({call.dataset})" for call in best)
        if found[0].unknown > 2 * found[0].known:  # such as an answer of another organisation
            members_ = f"of its members {found[0].known} are declared and {found[0].unknown} are not"
            raise NotTried(f"it looks like none of the calls; nearest is {names}, and {members_}")
        raise NotTried(f"it could be of several calls; say which with --call: {names}")
    best.sort(key=lambda call: (len(_WORD.findall(call.path)), list(tried.form.calls).index(call.name)))
    return best[0], tuple(call.name for call in best[1:])


def _of_none(tried: Tried, body: bytes, found: Sequence[Fit]) -> str:
    """Why an answer is of none of the calls, and what it seems to be instead."""
    why = {fit.call.name: fit.why_not if fit.known else "none of its members is there" for fit in found}
    seems = seeming.driver(tried.form, body)
    if not seems and tried.form.driver == "csv":
        seems = seeming.table(tried.form, body, set(seeming.columns(tried.form)))
    if not seems and tried.form.driver == "xml":
        seems = seeming.xml(tried.form, body)
    if seems:
        return f"it is of none of the calls: {seems}"
    if len(set(why.values())) == 1:
        return f"it is of none of the calls: {next(iter(why.values()))}"
    told = [f"{name}: {each}" for name, each in why.items()]
    return "\n".join(["it is of none of the calls; name one with --call to see more", *told])


def _known(table: Any, word: str, value: Any) -> set[tuple[str, str]]:
    """The declared members that a value has."""
    if word.endswith("*") and isinstance(value, list):
        return set().union(*(_known(table, word[:-1], each) for each in value)) if value else set()
    if word.endswith("{}") and isinstance(value, dict):
        return set().union(*(_known(table, word[:-2], each) for each in value.values())) if value else set()
    if word not in table or not isinstance(value, dict):
        return set()
    found = set()
    for name, inside in members(table, word).items():
        if name in value:
            found |= {(word, name), *_known(table, inside, value[name])}
    return found
