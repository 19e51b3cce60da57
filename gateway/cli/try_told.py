"""A trial as plain values, for machines and for the page: the same facts that the terminal shows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway.catalogue import shapes
from gateway.catalogue.words import SENSITIVITIES
from gateway.errors import REASONS
from gateway.formats.linting import TO_FILL
from gateway.formats.model import NOTICES
from gateway.formats.trials import UNNAMED
from gateway.ground.calendar.instants import local_day, midnight, utc_text, window_text
from gateway.ground.http.connector import Pairs
from gateway.organisations import trying
from gateway.settings import LANGUAGES

if TYPE_CHECKING:
    from gateway.formats.explaining import ComparedRow
    from gateway.formats.model import Denied
    from gateway.formats.trials import Fate, Trial, TrialTerms
    from gateway.formats.trying_totals import OverTrial
    from gateway.organisations.trying import Prepared


def told(prepared: "Prepared", trials: "list[tuple[str, Trial]]", terms: "TrialTerms") -> dict[str, Any]:
    return {
        "file": prepared.file,
        "stand_ins": list(prepared.stand_ins),
        "answers": [_answer(prepared, path, trial, terms) for path, trial in trials],
    }


def _answer(prepared: "Prepared", path: str, trial: "Trial", terms: "TrialTerms") -> dict[str, Any]:
    return {
        "answer": path,
        "call": trial.call.name,
        "also_fits": list(trial.also),
        "dataset": trial.dataset.id,
        "fields": [field for field in trial.dataset.fields if field in trial.granted],
        "fields_not_chosen": [field for field in trial.dataset.fields if field not in trial.granted],
        "period": window_text(terms.window),
        "customer": trial.whose,
        "accounts": trial.refs,
        "accounts_of_a_live_call": trying.live_accounts(prepared, trial),
        "other_accounts": list(trial.foreign),
        "app_asks": asked(trial),
        "organisation_is_asked": request(prepared, trial),
        "refusal": refusal(trial),
        "warnings": list(trying.warnings(prepared, trial)),
        "counts": counts(trial),
        "following_page": trial.following,
        "over_records": over(trial),
        "records": [
            {
                "record": each.number,
                "given": each.given,
                **({"counts": each.counts} if trial.over is not None else {}),
                "reason": _why(each.reason),
                "members": [_row(row) for row in each.rows],
            }
            for each in trial.records
        ],
        "around": [_row(row) for row in trial.around],
        "app_gets": trial.body.decode("utf-8", "replace"),
        "undeclared": [
            {"member": f"{each.kind}/{each.name}", "times": each.times, "word": each.word, "types": each.types}
            for each in trial.unknown
        ],
        "screen": screen(prepared, trial),
    }


def over(trial: "Trial") -> dict[str, Any] | None:
    """Of an answer over records; None: the records themselves are given."""
    found = trial.over
    if found is None:
        return None
    return {
        "per": found.how.per,
        "samples": len(found.pages),
        "parts": found.parts,
        "complete": found.complete,
        "records_counted": found.counted,
        "records_not_counted": found.found - found.counted,
        "answers": [[_row(row) for row in rows] for rows in found.answers],
        "reveals": dict(found.reveals),
    }


def _row(row: "ComparedRow") -> dict[str, Any]:
    found = {"member": row.path, "fate": row.fate, "answer": row.left, "app": row.right, "reason": _why(row.reason)}
    return {key: value for key, value in found.items() if value not in ("", None)}


def _why(reason: Any) -> dict[str, str] | None:
    return None if reason is None else {"kind": reason.kind, "text": reason.text}


def asked(trial: "Trial") -> str:
    return f"{trial.asked.method} {trial.asked.path}{_query(trial.asked.query)}"


def request(prepared: "Prepared", trial: "Trial") -> dict[str, Any] | None:
    """The call as the organisation would get it; None: it gets none. Words in capitals are told in `stands_for`."""
    call = trying.upstream_call(prepared, trial)
    if call is None:
        return None
    found = {
        "method": call.method,
        "address": call.address,
        "query": list(call.query),
        "headers": dict(call.fields),
        "accept": call.accept,
        "content_type": call.content_type,
        "body": call.body,
        "stands_for": dict(call.stands_for),
    }
    return {key: value for key, value in found.items() if value}


def unasked(trial: "Trial") -> str:
    """Why the organisation gets no call."""
    if trial.sent is None:
        return "is asked nothing"
    return f"is not called: the gateway answers from the files of the call {trial.call.name}"


def _query(pairs: Pairs) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""


def refusal(trial: "Trial") -> str:
    """Why nothing is given, in one sentence; "": something is, or could be."""
    return trial.refusal if trial.denied is None else f"{trial.refusal}. {_denied(trial.denied, trial.why_denied)}"


def _denied(denied: "Denied", why: str) -> str:
    asked = f" Asked: {denied.asked}." if denied.asked else ""
    allowed = f" Allowed: {denied.allowed}." if denied.allowed else ""
    return f"{why or REASONS[denied.reason][1]} Term: {denied.term}.{asked}{allowed}"


def counts(trial: "Trial") -> dict[str, int]:
    return {
        "records": trial.counts.records,
        "records_withheld": trial.counts.records_withheld or sum(not _leaves(each) for each in trial.records),
        "members_withheld": sum(row.fate == "withheld" for each in trial.records if each.given for row in each.rows),
    }


def _leaves(fate: "Fate") -> bool:
    return fate.given or fate.counts


def agreed(prepared: "Prepared", trial: "Trial", terms: "TrialTerms") -> Iterator[tuple[str, str]]:
    """What the trial stands on, name by name."""
    if prepared.stand_ins:
        yield "draft", f"in place of TO FILL: {', '.join(prepared.stand_ins)}"
    also = f" (the answer of {' or '.join(trial.also)} looks the same: --call)" if trial.also else ""
    yield "call", f"{trial.call.name}, of {trial.dataset.id}{also}"
    given = [field for field in trial.dataset.fields.values() if field.id in trial.granted]
    yield "fields", ", ".join(f"{field.id}{' (always)' if field.structural else ''}" for field in given) or "none"
    if left := [name for name in trial.dataset.fields if name not in trial.granted]:
        yield "not chosen", ", ".join(left)
    yield "period", period(prepared, terms)
    if trial.whose:
        yield "customer", trial.whose
    named = [f"{native}, for the app {ref}" for native, ref in trial.refs.items() if native != UNNAMED]
    yield "accounts", "; ".join(named) or f"the {'file' if prepared.filed else 'answer'} names none"
    if live := trying.live_accounts(prepared, trial):
        these = "as --accounts says" if terms.accounts else "taken from the answer"
        yield "in a live call", f"{live}; these are {these}" if named else live
    if trial.foreign:
        yield "not shared", ", ".join(trial.foreign)
    if terms.records_max is not None:
        yield "limit", f"{terms.records_max} {'records' if trial.call.answer is None else 'answers'}"
    if trial.dataset.frequency is not None:
        times, per = trial.dataset.frequency
        yield "at most", f"{times} {'time' if times == 1 else 'times'} a {per}, however often an app asked for"


def period(prepared: "Prepared", terms: "TrialTerms") -> str:
    low, high = terms.window.start, terms.window.end
    if low is None and high is None:
        return "always"
    begins = "" if low is None else f"from {_day(low, prepared.zone) or utc_text(low)} "
    last = None if high is None else _day(high - timedelta(microseconds=1), prepared.zone, ends=True)
    ends = "" if high is None else f"to {last} " if last else f"until before {utc_text(high)} "
    return f"{begins}{ends}({prepared.zone})"


def _day(moment: datetime, zone: str, *, ends: bool = False) -> str:
    """The local day that begins, or ends, at an instant; "": none does."""
    day = local_day(moment, zone)
    edge = midnight(day + timedelta(days=1), zone) - timedelta(microseconds=1) if ends else midnight(day, zone)
    return day.isoformat() if edge == moment else ""


def ending(trial: "Trial") -> str:
    """The whole in one sentence."""
    if trial.over is not None:
        return _ending_over(trial.over)
    found = counts(trial)
    every = found["records"] + found["records_withheld"]
    text = f"{found['records']} of {every} {'record' if every == 1 else 'records'} given"
    text += f", {found['members_withheld'] or 'none'} of their members withheld." if found["records"] else "."
    if not every and not trial.refusal:
        text += f" There are none at {'.'.join(trial.at) or 'the outermost place'}."
    page = " There is a next page." if trial.following else ""
    return text + page + (f" {NOTICES[trial.notice]}" if trial.notice else "")


def _ending_over(over: "OverTrial") -> str:
    given = len(over.answers)
    text = f"{given or 'no'} {'answer' if given == 1 else 'answers'} given, over {over.counted} of {over.found} "
    text += f"{'record' if over.found == 1 else 'records'}; no record leaves."
    if not given:
        text += f" There is an answer for each {over.how.per} in which a record counts."
    return text


def proposals(trial: "Trial") -> list[str]:
    """Lines for [format.shapes]: each type with what it lacks, then new types."""
    lacking: dict[str, list[str]] = {}
    types: dict[str, str] = {}
    for each in trial.unknown:
        lacking.setdefault(each.kind, []).append(shapes.written(each.name, each.word))
        types |= each.types
    lines = [(kind, f"… {' '.join(found)}") for kind, found in lacking.items()] + list(types.items())
    return [f"{kind} = {shapes.toml(words)}" for kind, words in lines]


def summary(trial: "Trial") -> list[tuple[str, str, int]]:
    """(member, reason, how often) of all that does not leave of the records given, and beside them."""
    found: Counter[tuple[str, str]] = Counter()
    for rows in (*(each.rows for each in trial.records if each.given), trial.around):
        for row in rows:
            if row.fate == "withheld" and row.reason is not None:
                found[_without_numbers(row.path), row.reason.text] += 1
    return [(member, why, times) for (member, why), times in found.items()]


def _without_numbers(path: str) -> str:
    return "".join(part.partition("]")[2] if number else part for number, part in enumerate(path.split("[")))


def screen(prepared: "Prepared", trial: "Trial") -> dict[str, Any]:
    """The words of the consent screen for what was agreed, by language."""
    return {language: dict(_words(prepared, trial, language)) for language in LANGUAGES}


def _words(prepared: "Prepared", trial: "Trial", language: str) -> Iterator[tuple[str, Any]]:
    dataset = trial.dataset
    yield "heading", _heading(prepared, trial).get(language, "")
    for key, words in (
        ("label", dataset.label),
        ("short", dataset.short),
        ("long", dataset.long),
        ("time", dataset.time),
    ):
        yield key, words.get(language, "")
    yield "fields", [_field(field, language, field.id in trial.granted) for field in dataset.fields.values()]


def _heading(prepared: "Prepared", trial: "Trial") -> Mapping[str, str]:
    """Above data as sensitive as the fields that were agreed to."""
    chosen = [field.sensitivity for field in trial.dataset.fields.values() if field.id in trial.granted]
    most = max([trial.dataset.sensitivity, *chosen], key=SENSITIVITIES.index)
    category = prepared.catalogue.categories.get(trial.dataset.category)
    return category.titles.get(most, {}) if category is not None else {}


def _field(field: Any, language: str, given: bool) -> Mapping[str, Any]:
    return {
        "id": field.id,
        "given": given,
        "state": "always" if field.structural else "given" if given else "not chosen",
        "label": field.label.get(language, ""),
        "short": field.short.get(language, ""),
        "comes_with": field.beside(language),
    }


def unwritten(prepared: "Prepared", trial: "Trial") -> bool:
    """Whether some of these words are still to be written."""
    return TO_FILL in str(screen(prepared, trial))


def grouped(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 as "1–3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
