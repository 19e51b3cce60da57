"""Whether what is said to be made coarser, or answered over records, can be: told when a declaration is read."""

from collections.abc import Iterator, Mapping

from gateway.catalogue.datasets import Dataset, Field
from gateway.catalogue.formats import TABLES, Format, FormatCall, Member, along
from gateway.catalogue.made import Made, OverRecords
from gateway.catalogue.shapes import inner, members
from gateway.formats.periods import with_use

Found = Iterator[tuple[str, str]]  # key, what is wrong or would be right
Table = Mapping[str, str]

DRIVERS = TABLES  # that make values coarser, and give answers
_NUMBERS = ("n", "d", "s", "v")
# word of `made` → words of shapes whose values it can be made of; "yes" of all
MADE_OF: Mapping[str, tuple[str, ...]] = {
    "round": (*_NUMBERS, "i"),
    "cut": _NUMBERS,
    "band": (*_NUMBERS, "i"),
    "keep": (*_NUMBERS, "i", "x", "p"),
    "date": ("s", "v", "i", "n"),
    "pseudonym": (*_NUMBERS, "i", "x", "p"),
}
# member of an answer → words of shapes it may be written as
WRITTEN: Mapping[str, tuple[str, ...]] = {
    "from": ("s",), "to": ("s",), "count": ("i",), "yes": ("b",),
    **dict.fromkeys(("sum", "first", "last", "min", "max"), ("d", "n")),
}  # fmt: skip
_OF = (*_NUMBERS, "i")  # words of what is added up


def faults(dataset: Dataset, form: Format, table: Table) -> Found:
    """Of the fields of a type of data."""
    for field in dataset.fields.values():
        if field.made is None:
            continue
        if form.driver not in DRIVERS:
            yield f"{field.id}: made", f"leave it out: driver {form.driver} gives its members as they are"
            continue
        for kind, name in sorted(field.find):
            if kind in table and name in members(table, kind):
                yield from _member(field, field.made, (kind, name), dataset, form)
    yield from _two_ways(dataset, form)
    yield from _answering(dataset, form)


def _member(field: Field, how: Made, member: Member, dataset: Dataset, form: Format) -> Found:
    key, named = f"{field.id}: made", "/".join(member)
    word = members(form.shapes, member[0])[member[1]]
    if how.word != "yes" and inner(word) in form.shapes:
        if not _is_governed(inner(word), dataset, form):
            yield key, f"{named} is {word}: name the members of {inner(word)} that are meant, beside it"
    elif how.word != "yes" and word not in MADE_OF[how.word]:
        yield key, f"{named} is written {word}, and {how.word} is made of {' '.join(MADE_OF[how.word])}"
    if member[0] in {each.kind for each in form.answers(dataset.id)} and how.word in ("yes", "pseudonym"):
        yield key, f"{named} is of an answer: take round, cut, keep, band or date"
    if form.driver == "xml" and member[1] == "." and _has_elements(form, member[0]):
        yield key, f"{named} is the text between elements, in several pieces: only a text of its own is made coarser"
    yield from _judging(key, how, member, dataset, form)


def _has_elements(form: Format, kind: str) -> bool:
    return any(not name.startswith("@") and name != "." for name in members(form.shapes, kind))


def _is_governed(kind: str, dataset: Dataset, form: Format) -> bool:
    named = {kind for field in dataset.fields.values() for kind, _ in field.find | field.shared}
    return kind in named or kind in form.records


def _judging(key: str, how: Made, member: Member, dataset: Dataset, form: Format) -> Found:
    """What records are judged by must not be found out exactly by asking for another period, or another account."""
    for kind in form.judged(dataset.id):
        records = form.records.get(kind)
        if records is None:
            continue
        times = [] if records.time.how == "parts" else [along(form.shapes, kind, path) for path in records.time.paths]
        if member in [found[-1] for found in times if found]:
            if how.word != "date":
                yield key, f"{'/'.join(member)} is the record's own time: take date"
        elif member in form.needed(dataset.id) and members(form.shapes, member[0])[member[1]] not in form.shapes:
            yield key, f"{'/'.join(member)} is what records are judged by, and only a time can be made coarser"


def _two_ways(dataset: Dataset, form: Format) -> Found:
    """Of two ways it must be plain which says more."""
    ways: dict[Member, Made] = {}
    for field in dataset.fields.values():
        for member in sorted(field.find) if field.made is not None and field.made.word != "yes" else ():
            before = ways.setdefault(member, field.made)  # type: ignore[arg-type]  # asked in the line before
            kind, name = member
            leads = kind in form.shapes and inner(members(form.shapes, kind).get(name, "")) in form.shapes
            if not leads and field.made is not None and before.word != field.made.word:
                right = f"take {before.word} here, too, so that one of them says more"
                yield (
                    f"{field.id}: made",
                    f"{'/'.join(member)} is made coarser by {before.word} in another field: {right}",
                )


def _answering(dataset: Dataset, form: Format) -> Found:
    found = form.answers(dataset.id)
    if not found:
        return
    if len(found) < len([call for call in form.calls.values() if call.dataset == dataset.id]):
        yield "calls", "some of its calls give records and some answers: make two types of data of them"
    kinds = {each.kind for each in found}
    for field in dataset.fields.values():
        for kind, name in sorted(field.find | field.shared):
            if kind not in kinds:
                right = f"name members of {' or '.join(sorted(kinds))}"
                yield f"{field.id}: find", f"'{kind}/{name}' never leaves, since its calls give answers: {right}"
    if dataset.frequency is None and any(each.at_least for each in found):
        right = 'frequency = { times = 4, per = "month" }'
        yield "frequency", f"yes or no, asked again and again, tells the value: write {right}"


def answer_faults(call: FormatCall, form: Format, dataset: Dataset | None) -> Found:
    """Of what a call gives in place of its records."""
    how = call.answer
    records = form.records.get(call.records)
    if how is None or records is None:
        return
    if form.driver not in DRIVERS:
        yield "answer", f"leave it out: driver {form.driver} gives records"
    if records.time.lenient:
        yield "answer", f"a total must not leave records out: leave unreadable out of records.{call.records}"
    yield from _shape(how, form)
    if how.of:
        steps = along(form.shapes, call.records, how.of)
        word = members(form.shapes, steps[-1][0])[steps[-1][1]] if steps else ""
        if word not in _OF:
            yield "answer.of", f"{'.'.join(how.of)} must be one of {' '.join(_OF)} in shapes, outside of lists"
        if steps and steps[-1] in form.only:
            yield "answer.of", "it is given only sometimes ([format.only]), so no total of it is right"
    if records.time.how in ("none", "state"):
        if how.per != "all":
            yield "answer.per", "its records have no time at which they happened: take all"
        for name in sorted({"first", "last"} & {*how.gives, how.by}):
            yield "answer.gives", f"{name}: its records have no time at which they happened"
    yield from _paged(call, form)


def _shape(how: OverRecords, form: Format) -> Found:
    if how.kind not in form.shapes or how.kind in form.records:
        wrong = f'a line of its own in shapes: {how.kind or "Total"} = "from:s to:s sum:d count:i"'
        yield "answer.as", wrong
        return
    known = members(form.shapes, how.kind)
    for name, word in known.items():
        if name not in WRITTEN or name not in (*how.gives, "from", "to"):
            yield "answer.as", f"{how.kind} has {name}, which is neither from, to nor one of gives"
        elif word not in WRITTEN[name]:
            yield "answer.as", f"{name} of {how.kind} must be {' or '.join(WRITTEN[name])}"
    for name in how.gives:
        if name not in known:
            yield "answer.gives", f"{name} is no member of {how.kind}"


def _paged(call: FormatCall, form: Format) -> Found:
    """Whatever counts must be read, and no app says which."""
    for name in call.query:
        use = form.parameters[name].use if name in form.parameters else ""
        if use in ("page", "size"):
            yield (
                "query",
                f"{name}: an answer is over all records, so no app says how many: write it into asks, if at all",
            )


def part_faults(call: FormatCall, form: Format, dataset: Dataset | None) -> Found:
    """Of a call whose period is asked for in parts."""
    records = form.records.get(call.records)
    if not call.days or records is None:
        return
    if call.answer is not None and records.time.how in ("none", "state"):
        yield "days", "leave it out: its records have no time at which they happened, and would count in each part"
    times = {found[-1] for path in records.time.paths if (found := along(form.shapes, call.records, path))}
    for field in dataset.fields.values() if dataset is not None and call.answer is None else ():
        if field.made is not None and field.made.by in ("month", "year") and field.find & times:
            yield (
                "days",
                f"{field.id} gives no more than the {field.made.by}, and a page of {call.days} days would tell",
            )
    for name in with_use(form, call, "from", "to"):
        known = form.parameters[name]
        if known.written == "month":
            yield "days", f"{name} is written as a month, which holds more days"
        elif known.written == "date" and known.zone:
            yield "days", f"{name} has a zone of its own, so that a part would touch one day more"
