"""Trying a format on an answer: the real plan cuts it, and every record and member that is missing gets its reason.

Why a record is missing is found by asking the plan again: of this record alone, with the period open, with all accounts
granted. So nothing here repeats a rule of the engine.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.catalogue.datasets import Dataset
from gateway.catalogue.formats import Format, FormatCall
from gateway.catalogue.shapes import inner, members
from gateway.formats import everything, registry, seeming, trying_totals
from gateway.formats.csv_reading import HEADER
from gateway.formats.drift import unheard
from gateway.formats.explaining import (
    WITHHELD,
    Beside,
    ComparedRow,
    Reason,
    Reasons,
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
from gateway.formats.trials import UNNAMED, Fate, NotTried, Trial, TrialTerms
from gateway.ground.calendar.instants import Window

ALWAYS = everything.ALWAYS
NONE_GIVEN = "its one record is not given, and the app is told that there is none"
_WORD = re.compile(r"\{([a-z_]+)\}")


class Tried:
    """One format at one organisation. `strict`: an answer with members that are not declared is refused."""

    def __init__(self, form: Format, source: Source, datasets: dict[str, Dataset], *, strict: bool = False) -> None:
        if form.driver not in registry.BY_TABLES:
            raise NotTried(f"there is no engine for driver {form.driver}")
        self.form, self.datasets = form, datasets
        self._strict = strict
        self._plans: dict[Granted, TablePlan] = {}
        self._takings: dict[str, Taking] = {}
        self.refusals = Refusals(form, self.taking, self.strict)
        heard = unheard()
        self.source = replace(source, seen=lambda dataset: None if self.strict(dataset) else heard)

    def strict(self, dataset: str) -> bool:
        """Whether an answer of this type of data with a member that is not declared is refused."""
        its = self.datasets.get(dataset)
        return self._strict or (its is not None and its.format == "" and its.strict)

    def calls(self) -> list[FormatCall]:
        """The calls that give one of these types of data."""
        return [call for call in self.form.calls.values() if call.dataset in self.datasets]

    # ---- what becomes of it

    def accounts(self, call: FormatCall, body: bytes) -> list[str]:
        """The accounts that an answer names, in its order."""
        path = self.form.records[call.records].account
        if not path:
            return []
        taking = self.taking(call)
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
            if trial.refusal == NONE_GIVEN and trial.records and trial.records[0].reason is not None:
                trial.refusal += f": {trial.records[0].reason.text}"
            trial.warnings += (each for each in self._hardly_meant(terms, there, body) if each not in trial.refusal)
        return trial

    def _hardly_meant(self, terms: TrialTerms, there: Sequence[str], body: bytes) -> Iterable[str]:
        strange = [native for native in terms.accounts if there and native not in there]
        if strange:
            yield f"{', '.join(strange)}, of --accounts, stands nowhere in the answer, which names {some(there)}"
        judged = {"csv": seeming.encoding, "xml": seeming.xml}.get(self.form.driver)
        if judged is not None and (seems := judged(self.form, body)):
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
        value, word = self.taking(call).whole(body)
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
            trial.refusal = NONE_GIVEN
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
        return self.refusals.told(trial.call, body, error.where, natives)

    # ---- why

    def taking(self, call: FormatCall) -> Taking:
        if call.name not in self._takings:
            self._takings[call.name] = TAKING[self.form.driver](self.form, call)
        return self._takings[call.name]

    def _explain(self, trial: Trial, plan: TablePlan, item: Granted, body: bytes, terms: TrialTerms) -> None:
        try:
            value, word = self.taking(trial.call).whole(body)
            found = self.taking(trial.call).records(body)
        except (ValueError, RecursionError, UnknownShape):
            return
        part = plan.parts[trial.dataset.id]
        reasons = Reasons(self.form, trial.dataset, trial.granted, part.withheld, part.coarse)
        if self.refusals.no_table(trial.call, body, HEADER):
            return  # what stands there is not what its columns are
        trial.unknown = undeclared(self.form.shapes, word, value)
        values = [self.taking(trial.call).value(each) for each in found]
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
            cut: Cut = self._plan_of(item).cut(sent, trial.media_type, self.taking(trial.call).alone(record), window)
        except (NotThere, UnknownShape):
            return False
        return cut.counts.records == 1

    def _is_short(self, call: FormatCall, record: Any) -> bool:
        taking = self.taking(call)
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
        right, kind, path = self.taking(trial.call).whole(trial.body)[0], trial.call.envelope, ""
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
        taking = self.taking(trial.call)
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
        over, taking = trial.over, self.taking(trial.call)
        pages = over.pages if over is not None else [trial.sent]
        needed, starts = frozenset(self.form.read_for(trial.call)), []
        for sent, body in zip(pages, bodies, strict=False):
            try:
                value, word = taking.whole(body)
                found = taking.records(body)
            except (ValueError, RecursionError, UnknownShape):
                return
            if self.refusals.no_table(trial.call, body, HEADER):
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
        taking, window = self.taking(trial.call), terms.window
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
