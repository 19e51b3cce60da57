"""Trying a call that gives an answer over its records: what an app gets, which records count, and why others do not.

The engine makes the answer (`answering`): a sample is a page of it, and a record counts if the engine counts it alone.
Samples do not show everything: what leads on to a page or a part of the period that is not there is told.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.catalogue.formats import FormatCall, Member
from gateway.catalogue.made import OverRecords, reveals
from gateway.catalogue.shapes import inner, members
from gateway.formats import units
from gateway.formats.answering import Answering, leading
from gateway.formats.explaining import ADDED, WITHHELD, ComparedRow, Number, Reason, Reasons, written
from gateway.formats.model import Asked, Cut, UnknownShape, Upstream
from gateway.formats.paging import TOKEN
from gateway.formats.table_plan import ALWAYS, TablePart, TablePlan
from gateway.formats.totals import Row, Totals
from gateway.ground.calendar.instants import Window, inside, local_day

EDGES = ("from", "to")
VALUES = ("sum", "first", "last", "min", "max")  # of one record alone each is its value


@dataclass(slots=True)
class OverTrial:
    """What became of the samples of one call that gives an answer over records."""

    how: OverRecords
    pages: list[Upstream] = field(default_factory=list)  # the call that each sample is the answer of
    parts: int = 1  # in which the organisation is asked for the period
    complete: bool = True  # there is no page and no part but the samples
    answers: list[tuple[ComparedRow, ...]] = field(default_factory=list)  # that the app gets
    counted: int = 0  # records
    found: int = 0
    alone: list[str] = field(default_factory=list)  # days or months with one record, of those that the app gets

    @property
    def reveals(self) -> Mapping[str, str]:
        """What each total that the app gets still says."""
        there = dict.fromkeys(row.path for rows in self.answers for row in rows if row.fate == ADDED)
        return {name: reveals(name)["en"] for name in there if name in self.how.gives}


def answering(
    plan: TablePlan, sent: Upstream, path: str, media_type: str, bodies: Sequence[bytes], window: Window
) -> tuple[Answering, OverTrial]:
    """The answer over as many samples as follow each other. Raises UnknownShape, TooLarge."""
    call = plan.form.calls[sent.operation]
    assert call.answer is not None, "only asked of a call that gives one"
    tried = OverTrial(call.answer, parts=plan.calls.count_parts(sent))
    made = Answering(plan, sent, window)
    step: Upstream | None = sent
    for body in bodies:
        assert step is not None, "the one before leads on"
        tried.pages.append(step)
        token = made.page(step, media_type, body)
        step = _following(plan, path, token, window)
        if step is None:
            return made, tried
    tried.complete = False
    if sent.part is None:
        return made, tried
    # they are some parts of the period, and nobody can say which: a record counts wherever in it it lies
    tried.pages = [replace(sent, part=None)] * len(bodies)
    made = Answering(plan, tried.pages[0], window)
    for body in bodies:
        made.page(tried.pages[0], media_type, body)
    return made, tried


def _following(plan: TablePlan, path: str, token: str, window: Window) -> Upstream | None:
    """The call of the next page or part; None: there is none."""
    if not token:
        return None
    found = plan.request(Asked("GET", path, ((TOKEN, token),)), window)
    if not isinstance(found, Upstream):
        raise UnknownShape(leading(plan.form))
    return found


# ---- records


def rows_of(plan: TablePlan, sent: Upstream, media_type: str, alone: bytes, window: Window) -> list[Row]:
    """What counts of an answer with one record; []: it does not. Raises UnknownShape."""
    return Answering(plan, sent, window).counting(sent, media_type, alone).rows


def rows_ever(plan: TablePlan, sent: Upstream, media_type: str, alone: bytes) -> list[Row]:
    """What would count of it in some period."""
    return plan.page_rows(sent, media_type, alone, ALWAYS, ALWAYS).rows


def in_part(sent: Upstream, row: Row) -> bool:
    """Whether a record lies in, or at the edge of, the part of the period that its sample is asked for."""
    part = sent.part or ALWAYS
    return (part.start is None or row[1] >= part.start) and (part.end is None or row[0] <= part.end)


def wrong(plan: TablePlan, call: FormatCall, rows: list[Row]) -> str:
    """Why no answer can be made of a record that counts; "": one can."""
    how = call.answer
    assert how is not None, "only asked of a call that gives one"
    try:
        Totals(how, plan.source.zone, "").add(rows)
    except UnknownShape as error:
        of = ".".join(how.of)
        if how.of and error.where.endswith(of):
            text = rows[0][2]
            said = "is not there" if text is None else f"is {json.dumps(text, ensure_ascii=False)}, which is no number"
            return f"{of} {said}, and the answer is made of it"
        return f"it is longer than a {how.per}, so that nobody could say in which it counts"
    return ""


def uncounted(plan: TablePlan, call: FormatCall, sent: Upstream, window: Window, row: Row, time: str) -> Reason:
    """Why a record that would count in some period does not count in this one."""
    how, zone = call.answer, plan.source.zone
    assert how is not None, "only asked of a call that gives one"
    if plan.form.records[call.records].time.how == "none":
        return Reason.of("period", time=time)
    start, end, _ = row
    asked = sent.period or window
    present = units.begin(plan.source.clock(), how.unit, zone)
    if start >= present:
        return Reason.of("not-over", unit=how.unit, time=time)
    if inside(asked, start, end) or inside(window, start, end):
        return Reason.of("cut-unit", unit=how.unit, time=time)
    return Reason.of("period", time=time)


def read(call: FormatCall, needed: frozenset[Member], value: object, why: Reason | None) -> tuple[ComparedRow, ...]:
    """The members of a record, none of which leaves. `why`: it does not count."""
    found = value.items() if isinstance(value, dict) else ()
    kind = call.records
    return tuple(
        ComparedRow(
            name, WITHHELD, written(each), "",
            why or Reason.of("read" if (kind, name) in needed else "unread"), (kind, name),
        )
        for name, each in found
    )  # fmt: skip


# ---- the answer


def answers(
    plan: TablePlan, part: TablePart, cut: Cut, how: OverRecords, reasons: Reasons
) -> Iterator[tuple[ComparedRow, ...]]:
    """Each answer as the app gets it, member by member, with what of it does not leave."""
    found = json.loads(cut.body, parse_float=Number, parse_int=Number)
    for answer in found if isinstance(found, list) else [found]:
        yield tuple(_members(plan, part, answer, how, reasons))


def _members(
    plan: TablePlan, part: TablePart, answer: Mapping[str, object], how: OverRecords, reasons: Reasons
) -> Iterator[ComparedRow]:
    of = ".".join(how.of) or "the records"
    what = {"count": "how many records count", "yes": f"whether {how.by} is at least {how.at_least}"}
    what |= {name: f"{name} of {of}" for name in VALUES}
    what |= {"from": "the first moment that it is of", "to": "the first moment after"}
    for name, word in members(plan.form.shapes, how.kind).items():
        if name not in (*how.gives, *EDGES):
            continue
        member = (how.kind, name)
        if name in answer:
            said = f", {reasons.changed(member, word).text}" if member in part.coarse else ""
            yield ComparedRow(name, ADDED, "", written(answer[name]), Reason.of("over", what=what[name] + said), member)
        elif inner(word) == "-" or member in part.coarse or member in reasons.withheld:
            yield ComparedRow(name, WITHHELD, "", "", reasons.missing(*member), member)
        else:
            kind = "no-edge" if name in EDGES else "nothing"
            yield ComparedRow(name, WITHHELD, "", "", Reason.of(kind), member)


def alone(how: OverRecords, zone: str, starts: Sequence[datetime]) -> list[str]:
    """The days or months in which one record counts: its total is its value."""
    if how.per == "all":
        return ["all"] if len(starts) == 1 else []
    found = [units.begin(start, how.per, zone) for start in starts]
    once = sorted({each for each in found if found.count(each) == 1})
    return [local_day(each, zone).isoformat()[: 7 if how.per == "month" else 10] for each in once]


def warnings(over: OverTrial, call: FormatCall) -> Iterator[str]:
    """What samples do not show, and what a total tells."""
    one = len(over.pages) == 1
    these, given = ("this sample", "one sample is given") if one else ("these samples", f"{len(over.pages)} are given")
    if not over.complete and over.parts > 1:
        yield (
            f"the organisation is asked in {over.parts} parts of {call.days} days at most, and {given}: an app gets"
            f" the answer over all parts, and here it is over {these} alone. Give one --answer for each, in their order"
        )
    elif not over.complete:
        yield (
            f"there is a further page, and {given}: an app gets the answer over all pages, and here it is over {these}"
            " alone. Give one --answer for each page, in their order"
        )
    told = [name for name in over.reveals if name in VALUES]
    if over.alone and told:
        some = ", ".join(over.alone[:4]) + (f" and {len(over.alone) - 4} more" if len(over.alone) > 4 else "")
        when = "one record counts" if over.how.per == "all" else f"one record counts in {some}"
        yield f"{when}: {' and '.join(told)} {'is its value' if len(told) == 1 else 'are its value'}"
