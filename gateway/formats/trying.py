"""Trying a format on an answer: the real plan cuts it, and every record and member that is missing gets its reason.

    guess ──► which call the answer is of      run ──► the call upstream, the answer beside what an app gets

Why a record is missing is found by asking the plan again: of this record alone, with the period open, with all accounts
granted. So nothing here repeats a rule of the engine.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format, FormatCall, Path
from gateway.catalogue.shapes import inner, members
from gateway.formats import everything, registry, seeming, trying_totals
from gateway.formats.csv_reading import HEADER
from gateway.formats.drift import Seen
from gateway.formats.explaining import (
    WITHHELD,
    Beside,
    ComparedRow,
    Reason,
    Reasons,
    Unknown,
    merged,
    rows,
    undeclared,
    written,
)
from gateway.formats.json_around import Around
from gateway.formats.model import (
    Account,
    Asked,
    Counts,
    Cut,
    Denied,
    Granted,
    NotThere,
    Source,
    TooLarge,
    UnknownShape,
    Upstream,
)
from gateway.formats.paging import TOKEN
from gateway.formats.refusals import Refusals, said_of_whom, some
from gateway.formats.table_plan import TablePart, TablePlan
from gateway.formats.taking import TAKING, Taking, TakingTable, given
from gateway.formats.totals import Row
from gateway.formats.trying_totals import OverTrial
from gateway.ground.calendar.instants import Window
from gateway.ground.http.connector import Pairs

ALWAYS = everything.ALWAYS
UNNAMED = "account-of-the-call"  # stands for an account that no record names
_WORD = re.compile(r"\{([a-z_]+)\}")


class NotTried(Exception):
    """It cannot be tried so. Says what to do."""


@dataclass(frozen=True, slots=True)
class TrialTerms:
    """What the person would have agreed to."""

    fields: frozenset[str] | None = None  # None: all
    without: frozenset[str] = frozenset()
    window: Window = ALWAYS
    accounts: tuple[str, ...] = ()  # the organisation's own names; (): all that the answer names
    records_max: int | None = None
    query: Pairs = ()  # as an app would send it


@dataclass(frozen=True, slots=True)
class Fate:
    """One record of the answer. `reason`: why it is not given."""

    number: int
    rows: tuple[ComparedRow, ...]
    reason: Reason | None = None
    counts: bool = False  # in an answer over records, which is given in its place

    @property
    def given(self) -> bool:
        return self.reason is None


@dataclass(slots=True)
class Trial:
    call: FormatCall
    at: Path  # where its records stand
    dataset: Dataset
    granted: frozenset[str]
    refs: dict[str, str]  # the organisation's account → what the app sees in its place
    foreign: tuple[str, ...]  # accounts in the answer that are not granted
    asked: Asked
    media_type: str
    sent: Upstream | None = None
    denied: Denied | None = None
    why_denied: str = ""  # in words for whoever writes the declaration; "": the reason says enough
    refusal: str = ""  # why the answer as a whole is not given
    counts: Counts = field(default_factory=Counts)
    body: bytes = b""  # what the app gets
    following: bool = False  # with an address of the next page
    notice: str = ""
    records: list[Fate] = field(default_factory=list)
    around: tuple[ComparedRow, ...] = ()
    unknown: list[Unknown] = field(default_factory=list)
    also: tuple[str, ...] = ()  # other calls that the answer would be as well
    warnings: list[str] = field(default_factory=list)  # what is allowed, and hardly meant so
    whose: str = ""  # of a file with the records of many: the customer whose they are
    over: OverTrial | None = None  # of a call that gives an answer over its records


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


class Tried:
    """One format at one organisation. `strict`: an answer with members that are not declared is refused."""

    def __init__(self, form: Format, source: Source, datasets: dict[str, Dataset], *, strict: bool = False) -> None:
        if form.driver not in registry.BY_TABLES:
            raise NotTried(f"there is no engine for driver {form.driver}")
        self.form, self.datasets = form, datasets
        self._strict = strict
        self._plans: dict[Granted, TablePlan] = {}
        self._takings: dict[str, Taking] = {}
        self._refusals = Refusals(form, self._taking, self.strict)
        heard = Seen(lambda *_: None)
        self.source = replace(source, seen=lambda dataset: None if self.strict(dataset) else heard)

    def strict(self, dataset: str) -> bool:
        """Whether an answer of this type of data with a member that is not declared is refused."""
        its = self.datasets.get(dataset)
        return self._strict or (its is not None and its.format == "" and its.strict)

    def calls(self) -> list[FormatCall]:
        """The calls that give one of these types of data."""
        return [call for call in self.form.calls.values() if call.dataset in self.datasets]

    # ---- of which call an answer is

    def fits(self, body: bytes, calls: Iterable[FormatCall]) -> list[Fit]:
        """Best first."""
        found = [self._fit(body, call) for call in calls]
        return sorted(found, key=lambda fit: (not fit.why_not, fit.good), reverse=True)

    def _fit(self, body: bytes, call: FormatCall) -> Fit:
        try:
            self._taking(call).records(body)
            trial = self.run(call, body, TrialTerms(), explain=False)
            value, word = self._taking(call).whole(body)
        except (UnknownShape, ValueError, RecursionError) as error:
            where = error.where if isinstance(error, UnknownShape) else ""
            return Fit(call, known=self._known_in(call, body), why_not=self._refusals.told(call, body, where))
        if trial.refusal:
            return Fit(call, known=self._known_in(call, body), why_not=trial.refusal)
        return Fit(
            call,
            trial.counts.records + trial.counts.records_withheld,
            len(_known(self.form.shapes, word, value)),
            len(undeclared(self.form.shapes, word, value)),
        )

    def _known_in(self, call: FormatCall, body: bytes) -> int:
        try:
            value, word = self._taking(call).whole(body)
        except (ValueError, RecursionError):
            return 0
        return len(_known(self.form.shapes, word, value))

    def guess(self, body: bytes, dataset: str = "") -> tuple[FormatCall, tuple[str, ...]]:
        """The call, and others that the answer fits as well and in the same way. Raises NotTried."""
        calls = [call for call in self.calls() if dataset in ("", call.dataset)]
        if len(calls) == 1:
            return calls[0], ()
        found = self.fits(body, calls)
        if not found or found[0].why_not or not found[0].known:
            raise NotTried(self._of_none(body, found))
        best = [fit.call for fit in found if not fit.why_not and fit.good == found[0].good]
        if len({(call.dataset, call.records, self.form.place(call)) for call in best}) > 1:
            names = ", ".join(f"{call.name} ({call.dataset})" for call in best)
            if found[0].unknown > 2 * found[0].known:  # such as an answer of another organisation
                members_ = f"of its members {found[0].known} are declared and {found[0].unknown} are not"
                raise NotTried(f"it looks like none of the calls; nearest is {names}, and {members_}")
            raise NotTried(f"it could be of several calls; say which with --call: {names}")
        best.sort(key=lambda call: (len(_WORD.findall(call.path)), list(self.form.calls).index(call.name)))
        return best[0], tuple(call.name for call in best[1:])

    def _of_none(self, body: bytes, found: Sequence[Fit]) -> str:
        """Why an answer is of none of the calls, and what it seems to be instead."""
        why = {fit.call.name: fit.why_not if fit.known else "none of its members is there" for fit in found}
        seems = seeming.driver(self.form, body)
        if not seems and self.form.driver == "csv":
            seems = seeming.table(self.form, body, set(seeming.columns(self.form)))
        if seems:
            return f"it is of none of the calls: {seems}"
        if len(set(why.values())) == 1:
            return f"it is of none of the calls: {next(iter(why.values()))}"
        told = [f"{name}: {each}" for name, each in why.items()]
        return "\n".join(["it is of none of the calls; name one with --call to see more", *told])

    # ---- what becomes of it

    def accounts(self, call: FormatCall, body: bytes) -> list[str]:
        """The accounts that an answer names, in its order."""
        path = self.form.records[call.records].account
        if not path:
            return []
        taking = self._taking(call)
        found = (everything.text(taking.value(each), path) for each in taking.records(body))
        return list(dict.fromkeys(filter(None, found)))

    def run(
        self,
        call: FormatCall,
        body: bytes,
        terms: TrialTerms,
        *,
        explain: bool = True,
        more: Sequence[bytes] = (),
        refused: str = "",
    ) -> Trial:
        """`explain`: record by record, too. `more`: further answers of the call, which may be its next pages where it
        gives an answer over records: `Trial.over` says how many of them are. `refused`: why it never becomes an answer,
        whatever the engine would say of it."""
        dataset = self.datasets[call.dataset]
        fields = frozenset(dataset.fields if terms.fields is None else terms.fields & dataset.fields.keys())
        granted = (fields - terms.without) | frozenset(dataset.structural())
        there = self._there(call, body)
        natives = list(terms.accounts) or there or [UNNAMED]
        foreign = tuple(native for native in there if native not in natives)
        mine = [Account(native, f"ACCOUNT-{number}") for number, native in enumerate(natives, 1)]
        trial = Trial(
            call,
            self.form.place(call),
            dataset,
            granted,
            {account.native: account.ref for account in mine},
            foreign,
            Asked("GET", self._path(call, mine[0].ref), terms.query),
            self.form.media_types[0],
        )
        item = Granted(dataset.id, granted, tuple(mine), terms.records_max, foreign, "a person at an app")
        plan = self._plan(item)
        sent = plan.request(trial.asked, terms.window)
        if isinstance(sent, Denied):
            trial.denied = sent
            trial.why_denied = self._why_denied(call, trial.asked, sent)
            trial.refusal = "the organisation is asked nothing"
        else:
            trial.sent = sent
            if call.answer is not None:
                self._answer(trial, plan, item, [body, *more], terms, explain=explain)
            else:
                self._cut(trial, plan, body, terms)
            if refused and not trial.refusal:
                trial.refusal, trial.counts, trial.body, trial.following = refused, Counts(), b"", False
        if explain:
            if call.answer is None or trial.denied is not None:
                self._explain(trial, plan, item, body, terms)
            trial.warnings += (each for each in self._hardly_meant(terms, there, body) if each not in trial.refusal)
        return trial

    def _hardly_meant(self, terms: TrialTerms, there: Sequence[str], body: bytes) -> Iterable[str]:
        strange = [native for native in terms.accounts if there and native not in there]
        if strange:
            yield f"{', '.join(strange)}, of --accounts, stands nowhere in the answer, which names {some(there)}"
        if self.form.driver == "csv" and (seems := seeming.encoding(self.form, body)):
            yield seems

    def _why_denied(self, call: FormatCall, asked: Asked, denied: Denied) -> str:
        """What is wrong with a parameter that an app sends, where the reason alone would mislead."""
        name, known = denied.asked, self.form.parameters
        pages = self.form.pages
        cursor = pages.parameter if pages is not None and pages.by == "cursor" else ""
        if denied.term == TOKEN or (denied.term == "query" and name in (TOKEN, cursor)):
            name = name if denied.term == "query" else TOKEN
            return (
                f"{name} leads to a page, and only the gateway writes it: an app takes the whole address of the next"
                f" page from the Link field of an answer. To try a page, leave {name} out, and give its answer."
            )
        if denied.term != "query":
            return ""
        if [each for each, _ in asked.query].count(name) > 1:
            return f"{name} stands twice in the call."
        if name in call.query:
            return f"The value of {name} is empty, too long, or has other characters than a-z, A-Z, 0-9 and ._~:+=|/,-."
        if name in known:
            return f"{name} is a parameter, and not in the query of the call {call.name}, so no app may send it."
        return f"{name} is no parameter of [format.parameters], so no app may send it."

    def _there(self, call: FormatCall, body: bytes) -> list[str]:
        try:
            return self.accounts(call, body) or self._named_around(call, body)
        except (UnknownShape, ValueError, RecursionError):
            return []

    def _named_around(self, call: FormatCall, body: bytes) -> list[str]:
        """The account of the whole answer, where a member beside the records says it."""
        value, word = self._taking(call).whole(body)
        return list(dict.fromkeys(said_of_whom(self.form, word, value)))

    def _plan(self, item: Granted) -> TablePlan:
        plan = registry.plan(self.source, self.form.id, [item])
        assert isinstance(plan, TablePlan), "formats that tables describe have such a plan"
        return plan

    def _path(self, call: FormatCall, ref: str) -> str:
        """Of the app's call; an id that only an answer tells stands as its own word."""
        base = self.source.base_path or self.form.base
        return _WORD.sub(lambda word: ref if word[1] == "account" else word[1].upper(), base + call.path)

    def _cut(self, trial: Trial, plan: TablePlan, body: bytes, terms: TrialTerms) -> None:
        assert trial.sent is not None, "the call was made"
        try:
            cut = plan.cut(trial.sent, trial.media_type, body, terms.window)  # type: ignore[attr-defined]  # each engine's
        except NotThere:
            trial.counts = Counts(0, 1)
            trial.refusal = "the app is told that there is no such record"
            return
        except (TooLarge, UnknownShape) as error:
            trial.refusal = self._refusal(trial, body, error)
            return
        trial.counts, trial.body, trial.notice = cut.counts, cut.body, cut.notice
        trial.following = bool(cut.following)

    def _refusal(self, trial: Trial, body: bytes, error: TooLarge | UnknownShape) -> str:
        if isinstance(error, TooLarge):
            return f"the answer is too large to be cut: {error}"
        natives = [each.native for each in trial.sent.accounts] if trial.sent is not None else []
        return self._refusals.told(trial.call, body, error.where, natives)

    # ---- why

    def _taking(self, call: FormatCall) -> Taking:
        if call.name not in self._takings:
            self._takings[call.name] = TAKING[self.form.driver](self.form, call)
        return self._takings[call.name]

    def _explain(self, trial: Trial, plan: TablePlan, item: Granted, body: bytes, terms: TrialTerms) -> None:
        try:
            value, word = self._taking(trial.call).whole(body)
            found = self._taking(trial.call).records(body)
        except (ValueError, RecursionError, UnknownShape):
            return
        part = plan.parts[trial.dataset.id]
        reasons = Reasons(self.form, trial.dataset, trial.granted, part.withheld, part.coarse)
        if self._refusals.no_table(trial.call, body, HEADER):
            return  # what stands there is not what its columns are
        trial.unknown = undeclared(self.form.shapes, word, value)
        values = [self._taking(trial.call).value(each) for each in found]
        if trial.refusal and not trial.counts.records_withheld:
            why = Reason.of("refused")
            trial.records = [_whole(trial.call, each, number, why) for number, each in enumerate(values, 1)]
            return
        left = [] if trial.refusal else given(self.form, trial.call, trial.body)[::-1]
        for number, (record, each) in enumerate(zip(found, values, strict=True), 1):
            reason = self._why_not(trial, part, item, record, each, terms)
            if reason is None and not left:
                reason = Reason.of("limit", limit=str(terms.records_max))
            if reason is not None:
                trial.records.append(_whole(trial.call, each, number, reason))
                continue
            compared = rows(self.form.shapes, trial.call.records, each, left.pop(), reasons)
            trial.records.append(Fate(number, tuple(compared)))
        trial.around = tuple(self._beside(trial, reasons, part, value))

    def _why_not(
        self, trial: Trial, part: TablePart, item: Granted, record: Any, value: Any, terms: TrialTerms
    ) -> Reason | None:
        """Why a record alone is not given; None: it would be."""
        assert trial.sent is not None, "what was refused has no records"
        open_ = replace(item, records_max=None)
        if part.records_max == 0:
            return self._dropped(trial, part) or Reason.of("limit", limit="0")
        if self._is_short(trial.call, record):
            return Reason.of("short")
        if self._passes(trial, open_, record, terms.window):
            return None
        all_ = _anybodys(open_)
        records = self.form.records[trial.call.records]
        if self._passes(trial, all_, record, terms.window, anybodys=True):
            owner = everything.text(value, records.account)
            return Reason.of("other-call" if owner in trial.refs else "account", account=owner)
        if self._passes(trial, all_, record, ALWAYS, anybodys=True):
            times = " to ".join(filter(None, (everything.text(value, path) for path in records.time.paths)))
            return Reason.of("period", time=times or "?")
        return Reason.of("timeless")

    def _dropped(self, trial: Trial, part: TablePart) -> Reason | None:
        """The fields without which nothing is given, and which are missing."""
        fields = [each for each in trial.dataset.fields.values() if each.id not in part.fields]
        found = [each.id for each in fields if each.drops_record]
        for member, way in self.form.required.items():
            if way == "drop_record" and member in part.withheld:
                found += [each.id for each in fields if member in each.find | each.shared] or ["/".join(member)]
        return Reason.of("drops", fields=" and ".join(dict.fromkeys(found))) if found else None

    def _passes(self, trial: Trial, item: Granted, record: Any, window: Window, *, anybodys: bool = False) -> bool:
        """Whether an answer with this record alone has it. `anybodys`: whichever account the call is for."""
        assert trial.sent is not None, "what was refused has no records"
        sent = replace(trial.sent, accounts=item.accounts) if anybodys else trial.sent
        try:
            cut: Cut = self._plan_of(item).cut(sent, trial.media_type, self._taking(trial.call).alone(record), window)
        except (NotThere, UnknownShape):
            return False
        return cut.counts.records == 1

    def _is_short(self, call: FormatCall, record: Any) -> bool:
        taking = self._taking(call)
        return isinstance(taking, TakingTable) and taking.is_short(record)

    def _plan_of(self, item: Granted) -> Any:
        if item not in self._plans:
            self._plans[item] = self._plan(item)
        return self._plans[item]

    def _beside(self, trial: Trial, reasons: Reasons, part: TablePart, value: Any) -> Iterable[ComparedRow]:
        """What stands around the records."""
        at = self.form.place(trial.call)
        if not at or self.form.driver in ("csv", "ndjson") or trial.refusal:
            return
        why = Beside(self.form, reasons, Around(self.form, trial.call.envelope, at, [], part.withheld).rules)
        right, kind, path = self._taking(trial.call).whole(trial.body)[0], trial.call.envelope, ""
        for name in at:
            left_rest = {key: inside for key, inside in value.items() if key != name}
            right_rest = {key: inside for key, inside in right.items() if key != name}
            if left_rest or right_rest:
                yield from rows(self.form.shapes, kind, left_rest, right_rest, why, path)
            kind = inner(members(self.form.shapes, kind)[name])
            value, right = value.get(name), right.get(name)
            if not isinstance(value, dict) or not isinstance(right, dict):
                return
            path = f"{path}.{name}" if path else name

    # ---- an answer over records

    def _answer(
        self, trial: Trial, plan: TablePlan, item: Granted, bodies: Sequence[bytes], terms: TrialTerms, *, explain: bool
    ) -> None:
        assert trial.sent is not None and trial.call.answer is not None, "the call was made, and gives an answer"
        page = partial(trying_totals.answering, plan, trial.sent, trial.asked.path, trial.media_type)
        try:
            made, trial.over = page(bodies, terms.window)
            cut = made.cut()
        except NotThere:
            trial.refusal = "the app is told that there is no such record: no member of the answer is given"
        except (TooLarge, UnknownShape) as error:
            bad = self._bad_page(trial, plan, bodies, terms)
            trial.refusal = self._bad_record(trial, plan, bodies, terms) or self._refusal(trial, bad, error)
        else:
            trial.counts, trial.body = cut.counts, cut.body
            part = plan.parts[trial.dataset.id]
            reasons = Reasons(self.form, trial.dataset, trial.granted, part.withheld, part.coarse)
            trial.over.answers = list(trying_totals.answers(plan, part, cut, trial.call.answer, reasons))
        if explain:
            self._explain_answer(trial, plan, item, bodies, terms)

    def _bad_page(self, trial: Trial, plan: TablePlan, bodies: Sequence[bytes], terms: TrialTerms) -> bytes:
        """The first that is refused as such."""
        assert trial.sent is not None, "the call was made"
        for body in bodies:
            try:
                plan.page_rows(trial.sent, trial.media_type, body, terms.window, ALWAYS)
            except (TooLarge, UnknownShape):
                return body
        return bodies[0]

    def _bad_record(self, trial: Trial, plan: TablePlan, bodies: Sequence[bytes], terms: TrialTerms) -> str:
        """The first record that counts and of which no answer can be made, and why; "": there is none."""
        sent = trial.sent
        assert sent is not None, "the call was made"
        taking = self._taking(trial.call)
        try:
            found = [(taking.alone(record)) for body in bodies for record in taking.records(body)]
            for number, alone in enumerate(found, 1):
                rows = trying_totals.rows_of(plan, sent, trial.media_type, alone, terms.window)
                if why := trying_totals.wrong(plan, trial.call, rows):
                    return f"record {number}: {why}"
        except (UnknownShape, ValueError, RecursionError):
            return ""
        return ""

    def _explain_answer(
        self, trial: Trial, plan: TablePlan, item: Granted, bodies: Sequence[bytes], terms: TrialTerms
    ) -> None:
        assert trial.sent is not None, "the call was made"
        over, taking = trial.over, self._taking(trial.call)
        pages = over.pages if over is not None else [trial.sent]
        needed, starts = frozenset(self.form.read_for(trial.call)), []
        for sent, body in zip(pages, bodies, strict=False):
            try:
                value, word = taking.whole(body)
                found = taking.records(body)
            except (ValueError, RecursionError, UnknownShape):
                return
            if self._refusals.no_table(trial.call, body, HEADER):
                return
            trial.unknown = merged(trial.unknown, undeclared(self.form.shapes, word, value))
            for record in found:
                each = taking.value(record)
                reason, row = self._why_uncounted(trial, plan, item, sent, record, terms)
                rows = trying_totals.read(trial.call, needed, each, reason)
                starts += [row[0]] if reason is None and row is not None else []
                why = reason or Reason.of("counted")
                trial.records.append(Fate(len(trial.records) + 1, rows, why, counts=reason is None))
        if over is not None:
            over.counted, over.found = len(starts), len(trial.records)
            over.alone = trying_totals.alone(over.how, self.source.zone, starts)
            trial.warnings += trying_totals.warnings(over, trial.call)

    def _why_uncounted(
        self, trial: Trial, plan: TablePlan, item: Granted, sent: Upstream, record: Any, terms: TrialTerms
    ) -> tuple[Reason | None, Row | None]:
        """Why a record does not count, and what would; no reason: it does."""
        if trial.refusal:
            return Reason.of("refused"), None
        if self._is_short(trial.call, record):
            return Reason.of("short"), None
        taking, window = self._taking(trial.call), terms.window
        value, alone = taking.value(record), taking.alone(record)
        rows_of = trying_totals.rows_of
        its = self.form.records[trial.call.records]
        time = " to ".join(filter(None, (everything.text(value, path) for path in its.time.paths))) or "?"
        if rows := rows_of(plan, sent, trial.media_type, alone, window):
            counts = trying_totals.in_part(sent, rows[0])
            return None if counts else Reason.of("other-part", time=time), rows[0]
        every = self._plan_of(_anybodys(item))
        anybodys = replace(sent, accounts=_anybodys(item).accounts)
        if rows_of(every, anybodys, trial.media_type, alone, window):
            owner = everything.text(value, its.account)
            return Reason.of("other-call" if owner in trial.refs else "account", account=owner), None
        if rows := trying_totals.rows_ever(every, anybodys, trial.media_type, alone):
            return trying_totals.uncounted(plan, trial.call, sent, window, rows[0], time), None
        return Reason.of("timeless"), None


def _anybodys(item: Granted) -> Granted:
    """The same with all accounts that the answer names granted."""
    others = tuple(Account(name, f"OTHER-{name}") for name in item.others)
    return replace(item, accounts=(*item.accounts, *others), others=())


def _whole(call: FormatCall, value: Any, number: int, why: Reason) -> Fate:
    """A record that is not given: all its members for the same reason."""
    found = value.items() if isinstance(value, dict) else ()
    return Fate(
        number,
        tuple(ComparedRow(name, WITHHELD, written(each), "", why, (call.records, name)) for name, each in found),
        why,
    )


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
