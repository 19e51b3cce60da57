"""One draft of one reading: types with names, types of data with fields, calls, and what was guessed of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.formats.drafting import apart, calls, fields, guesses, records, times
from gateway.formats.drafting.fields import FieldDraft
from gateway.formats.drafting.nodes import (
    Keyed,
    Listed,
    Member,
    Node,
    Object,
    PlainValue,
    Remark,
    Unreadable,
    ascii_words,
    inner,
    leave_unreadable,
    objects,
    snake,
    type_name,
    within,
)
from gateway.formats.drafting.reading import Reading
from gateway.formats.drafting.times import Path, Times

TO_FILL = "TO FILL"
_SHARED = ("bank", "energy", "health")  # first words of types of data that policies/ declares for everybody
_MANY_FIELDS = 40
_MANY_DATASETS = 6
_OF_ACCOUNTS = set("account accounts compte comptes contract contracts contrat contrats line lines".split())
_OF_ACCOUNTS |= {"service", "point", "points", "subscription", "subscriptions"}
_LABELS = ["nickname", "alias", "displayname", "label", "libelle", "productname", "name"]
_KINDS = ["type", "accounttype", "kind", "category", "producttype", "product"]


@dataclass(slots=True)
class Options:
    id: str = ""
    sector: str = ""
    name: str = ""
    at: str | None = None
    record: str = ""  # what one record is; empty: by the names that were read


@dataclass(slots=True)
class DatasetDraft:
    id: str
    name: str  # of the type of its records
    record: Object
    times: Times | None
    account: Path | None
    found: list[records.Found]
    fields: list[FieldDraft] = field(default_factory=list)

    @property
    def pinned(self) -> list[Path]:
        """The members of the structural field."""
        return list(
            dict.fromkeys([*(self.times.paths if self.times else ()), *([self.account] if self.account else ())])
        )

    @property
    def is_ownerless(self) -> bool:
        """Whether some call gives its records and neither they nor its address say whose they are."""
        paths = (each.answer.path for each in self.found)
        return self.account is None and any(path and "{account}" not in path for path in paths)


@dataclass(slots=True)
class DeclarationDraft:
    reading: Reading
    options: Options
    datasets: list[DatasetDraft]
    types: dict[str, Object]
    pages: records.PagesGuess | None
    around: list[str]  # Type/member
    accounts: dict[str, str]
    guessed: list[str] = field(default_factory=list)

    @property
    def customer(self) -> str:
        """The member that says whose a record is, by its name; "": none."""
        names = (name for dataset in self.datasets for name in dataset.record.members)
        return next((name for name in names if guesses.says_customer(name)), "")

    def name_of(self, kind: Object) -> str:
        return next(name for name, known in self.types.items() if known is kind)


def compose(reading: Reading, options: Options, where: str) -> DeclarationDraft:
    """`where`: what was read, for messages. Raises Unreadable if no records are found."""
    known: dict[object, Object] = {}
    done: dict[int, Node] = {}
    for answer in reading.answers:
        if reading.driver in ("json", "ndjson"):
            leave_unreadable(answer.node, reading.notes.append)
        answer.node = _unified(answer.node, known, done)
        calls.rename_words(answer, reading)
    groups = calls.grouped(reading, list(_found(reading, options, where)))
    found = [each for group in groups for each in group]
    for each in found:
        reading.notes += records.tell_others(each)
    apart.separate(found)
    calls.name(found)
    listing = [next((each for each in group if not each.one), group[0]) for group in groups]
    names: dict[str, Object] = {}
    for each in listing:
        wanted = type_name(options.record) if options.record and len(listing) == 1 else ""
        _name(names, each.record, wanted or records.named(each.record, each))
    datasets = [_dataset(group, each, names, options) for group, each in zip(groups, listing, strict=True)]
    _mark(datasets)
    # All, before a field names a member: splitting for one changes types of another.
    splits = [fields.Split(dataset.record, dataset.pinned) for dataset in datasets]
    for dataset, split in zip(datasets, splits, strict=True):
        dataset.fields = fields.fields(split, dataset.name, reading.notes.append)
    types = _types(found, names)
    draft = DeclarationDraft(reading, options, datasets, types, records.pages(reading, found), [], {})
    draft.around = list(
        dict.fromkeys(f"{draft.name_of(kind)}/{name}" for each in found for kind, name in records.around(each))
    )
    draft.accounts = _accounts(datasets)
    draft.guessed = list(_guessed(draft))
    _tell(draft)
    return draft


def _found(reading: Reading, options: Options, where: str) -> Iterator[records.Found]:
    """Of several answers, those that have no records are told and left out. Raises Unreadable if none has."""
    refused: list[Unreadable] = []
    find = records.found_in_document if reading.driver == "xml" else records.found
    for answer in reading.answers:
        here = f"{where}: {answer.path}" if answer.path else where
        try:
            each = find(answer, options.at, here)
            if all(_is_never(member.node) for member in each.record.members.values()):
                raise Unreadable(f"{here}: no member of its records has a value to give; name an answer that has some")
            yield each
        except Unreadable as problem:
            refused.append(problem)
            reading.notes.append(Remark(answer.path or answer.name, "an answer without records", "left out"))
    if len(refused) == len(reading.answers):
        raise refused[0]


def _is_never(node: Node) -> bool:
    value = within(node)[0]
    return isinstance(value, PlainValue) and value.word in "-!"


def _unified(node: Node, known: dict[object, Object], done: dict[int, Node]) -> Node:
    """Types of one name and one shape are one, wherever they were read."""
    if isinstance(node, PlainValue):
        return replace(node)
    if isinstance(node, Listed | Keyed):
        return type(node)(_unified(node.of, known, done))
    if id(node) not in done:
        members = {name: Member(_unified(each.node, known, done), each.said) for name, each in node.members.items()}
        shape = (node.name, tuple((name, _shape(each.node)) for name, each in members.items()))
        done[id(node)] = known.setdefault(shape, Object(node.name, members, node.said))
        done[id(done[id(node)])] = done[id(node)]
        known[id(node)] = node  # kept, so that no other object gets its id
    return done[id(node)]


def _shape(node: Node) -> object:
    value, marks = within(node)
    return marks, (value.word, value.kind, value.enough) if isinstance(value, PlainValue) else id(value)


def _name(names: dict[str, Object], kind: Object, wanted: str) -> str:
    known = next((name for name, other in names.items() if other is kind), "")
    if known:
        return known
    free = next(name for name in _numbered(wanted) if name not in names)
    names[free] = kind
    return free


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}{number}" for number in range(2, 100_000))


def _dataset(
    group: list[records.Found], listing: records.Found, names: dict[str, Object], options: Options
) -> DatasetDraft:
    record = listing.record
    record.name = next(name for name, known in names.items() if known is record)
    prefix = options.sector if options.sector and options.sector not in _SHARED else options.id
    kind = f"{prefix or 'to-fill'}.{snake(record.name)}"
    return DatasetDraft(kind, record.name, record, times.found(record), times.account(record), group)


def _mark(datasets: list[DatasetDraft]) -> None:
    """Opaque identifiers get the word by which an app sees its own; accounts are exchanged without it."""
    accounts = {(id(dataset.record), dataset.account) for dataset in datasets}
    seen: set[int] = set()
    for kind in (kind for dataset in datasets for kind in objects(dataset.record, seen)):
        for name, member in kind.members.items():
            value = within(member.node)[0]
            if isinstance(value, PlainValue) and (id(kind), (name,)) not in accounts and _is_opaque(name, value):
                value.word = "p"


def _is_opaque(name: str, value: PlainValue) -> bool:
    opaque = value.kind in ("uuid", "hex") or (value.kind in guesses.OPAQUE and guesses.says_identifier(name))
    return value.word == "s" and not value.enough and opaque


def _types(found: list[records.Found], names: dict[str, Object]) -> dict[str, Object]:
    """Every type with its name: envelopes first, then records, then what they hold."""
    kept: dict[str, Object] = {}  # names that are not those of records
    records_ = {id(kind) for kind in names.values()}
    for each in found:
        if each.envelope is not None and id(each.envelope) not in records_:
            wanted = "Answer" if "Answer" not in {**names, **kept} else f"{each.record.name}Answer"
            _name_new(kept, names, each.envelope, wanted)
    envelopes = dict(kept)
    for each in found:
        _name_below(each.answer.node, kept, names)
    return {**envelopes, **names, **{name: kind for name, kind in kept.items() if name not in envelopes}}


def _name_new(kept: dict[str, Object], names: dict[str, Object], kind: Object, wanted: str) -> None:
    if any(known is kind for known in (*kept.values(), *names.values())):
        return
    kept[next(name for name in _numbered(wanted) if name not in kept and name not in names)] = kind


def _name_below(node: Node, kept: dict[str, Object], names: dict[str, Object]) -> None:
    waiting, seen = [node], set[int]()
    while waiting:
        kind = inner(waiting.pop())
        if kind is None or id(kind) in seen:
            continue
        seen.add(id(kind))
        _name_new(kept, names, kind, kind.name)
        waiting += [member.node for member in reversed(kind.members.values())]


def _accounts(datasets: list[DatasetDraft]) -> dict[str, str]:
    """Of [format.accounts]: the list of accounts is a call that needs none, of records that are accounts."""
    found = [
        {"call": each.call, "native": ".".join(dataset.account), **_words(dataset.record)}
        for dataset in datasets
        for each in dataset.found
        if dataset.account and not each.one and each.answer.path and "{" not in each.answer.path
        if set(ascii_words(dataset.name)) & _OF_ACCOUNTS or set(ascii_words(each.answer.name)) & _OF_ACCOUNTS
    ]
    return max(found, key=lambda keys: list(keys.values()).count(TO_FILL) * -2 - len(keys["call"]) / 50, default={})


def _words(record: Object) -> dict[str, str]:
    plain = {
        "".join(ascii_words(name)): name
        for name, member in record.members.items()
        if isinstance(member.node, PlainValue)
    }
    found = {"label": next((plain[key] for key in _LABELS if key in plain), TO_FILL)}
    return {**found, "kind": next((plain[key] for key in _KINDS if key in plain), TO_FILL)}


def _guessed(draft: DeclarationDraft) -> Iterator[str]:
    for dataset in draft.datasets:
        first = dataset.found[0]
        what = "one record" if first.one else "records"
        place = f"{dataset.name}: {what} at {first.at or 'the outermost place'}{_elsewhere(first)}"
        when = f"time {_shown(dataset.times.keys)}" if dataset.times else "no time"
        whose = f"account {'.'.join(dataset.account)}" if dataset.account else "no member that names the account"
        yield f"{place}; {when}; {whose}"
    for name, parameter in draft.reading.parameters.items():
        yield f"parameter {name}: {parameter.keys['as']}, {parameter.why}"
    if draft.pages:
        yield f"pages: {_shown(dict(draft.pages.keys))}, {draft.pages.why}"
    if draft.reading.csv:
        yield f"CSV: {_shown(dict(draft.reading.csv))}"
        whose = f"; {draft.customer} says whose a row is" if draft.customer else ""
        yield f'an API that answers with tables; if it gives files, kind = "files" as [connection] says{whose}'
    if draft.reading.proof:
        yield f"connection: kind {draft.reading.proof.kind}, {draft.reading.proof.why}"
    marked = _marked(draft.types.values())
    yield from (
        f"{word}: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" for word, names in marked.items() if names
    )


def _elsewhere(found: records.Found) -> str:
    """Where else the records may stand, with the option that says so."""
    if found.one and found.others:
        return f" (if they are the lists inside: --at {' or --at '.join(found.others[:3])})"
    if found.around:
        return f" (if the whole answer is one record: --at '{'.'.join(found.steps[:-1])}')"
    return ""


def _marked(types: Iterable[Object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"free text (x)": [], "identifiers (p)": [], "known, never given (-)": []}
    keys = {"x": "free text (x)", "p": "identifiers (p)", "-": "known, never given (-)"}
    for kind in types:
        for name, member in kind.members.items():
            value = within(member.node)[0]
            if isinstance(value, PlainValue) and value.word in keys:
                found[keys[value.word]].append(f"{kind.name}/{name}")
    return found


def _shown(keys: dict[str, Any]) -> str:
    told = {key: " and ".join(value) if isinstance(value, list) else repr(value) for key, value in keys.items()}
    return ", ".join(f"{key} {value}" for key, value in told.items())


def unpaged(draft: DeclarationDraft) -> list[str]:
    """[format.pages] is of all calls: those that have no parameter for a page, where others have one."""
    parameter = draft.pages.keys.get("parameter") if draft.pages is not None else None
    calls = [each.answer for dataset in draft.datasets for each in dataset.found if not each.one and each.answer.path]
    without = [each.name for each in calls if parameter not in each.query]
    return without if parameter and len(without) < len(calls) else []


def _tell(draft: DeclarationDraft) -> None:
    """What the draft itself could not decide."""
    if len(draft.datasets) > _MANY_DATASETS:
        what = f"{len(draft.datasets)} types of data in one declaration"
        draft.reading.notes.append(
            Remark("the whole draft", what, "--only TEXT drafts the calls you want apps to make")
        )
    for dataset in draft.datasets:
        if len(dataset.fields) > _MANY_FIELDS:
            draft.reading.notes.append(
                Remark(
                    dataset.name,
                    f"{len(dataset.fields)} fields, more than a person reads",
                    "join in one field what is always wanted together, and write `-` for what no app needs",
                )
            )
