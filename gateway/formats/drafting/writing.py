"""The TOML of a draft, in the order in which a declaration is read. Guesses and texts to be filled are marked."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.formats.drafting import guesses
from gateway.formats.drafting.drafts import TO_FILL, DatasetDraft, DeclarationDraft, unpaged
from gateway.formats.drafting.fields import FieldDraft
from gateway.formats.drafting.nodes import (
    NOT_ENFORCED,
    UNENFORCED,
    Member,
    Object,
    PlainValue,
    Remark,
    many,
    within,
)
from gateway.formats.drafting.records import Found

_WIDE = 118
_SAID = 110  # characters of what a schema says that are repeated
_AROUND = 20
_PUBLIC = re.compile(r"https://([A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]*(:443|:8443)?")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN_NAME = re.compile(r'[^\s"\x00-\x1f\x7f]+')
_WORDS = '{ fr = "TO FILL", en = "TO FILL" }'
_KINDS = {
    "s": "a text",
    "x": "free text",
    "p": "an identifier",
    "d": "a decimal number in a text",
    "v": "a value of several kinds",
}


def toml(draft: DeclarationDraft) -> str:
    """Valid TOML 1.0."""
    parts = (
        _head,
        _connection,
        _datasets,
        _format,
        _parameters,
        _calls,
        _pages,
        _records,
        _around,
        _required,
        _accounts,
    )
    lines = [line for part in (*parts, _csv, _namespaces, _shapes) for line in part(draft)]
    return "\n".join(lines).strip("\n") + "\n"


def _head(draft: DeclarationDraft) -> Iterator[str]:
    options = draft.options
    yield f"# A draft{_of(draft.reading.title)}. Texts that say TO FILL are yours to write, and guesses yours to check."
    yield "# No value of the data stands in here, only names and kinds."
    yield f"id = {_text(options.id or 'to-fill')}" + ("" if options.id else "  # TO FILL: 1 to 40 of a-z, 0-9 and -")
    name = _text(options.name or TO_FILL)
    yield f"name = {{ fr = {name}, en = {name} }}"
    yield f"legal_entity = {_text(TO_FILL)}"
    yield f"sector = {_text(options.sector or TO_FILL)}"
    yield f"zone = {_text(TO_FILL)}  # as in Europe/Paris: where the days and months of the data begin"
    yield f"website = {_text(TO_FILL)}"
    yield "strict = false  # true: an answer with a member that is not declared below is refused, not only cut"


def _of(title: str) -> str:
    return f" of {_comment(title, 60)}" if title.strip() else ""


def _connection(draft: DeclarationDraft) -> Iterator[str]:
    yield from ("", "[contact]", f"privacy = {_text(TO_FILL)}", f"support = {_text(TO_FILL)}")
    proof = draft.reading.proof
    yield from ("", "[connection]")
    if proof is None:
        yield 'kind = "assertion"  # guessed: or "oauth", with [connection.oauth] in place of link, or another kind'
    else:
        yield f"kind = {_text(proof.kind)}  # guessed: {_comment(proof.why)}"
    if proof is not None and proof.knows_customer:
        yield 'match = "number"  # guessed: she gives her customer number and a code; or "oauth" or "sign_in"'
    server = draft.reading.server
    fits = bool(_PUBLIC.fullmatch(server))
    why = "guessed: the first server of the description"
    if not fits:
        why = f"the description says {_comment(server)}, which is no public https address" if server else ""
    yield f"base_url = {_text(server if fits else TO_FILL)}{f'  # {why}' if why else ''}"
    if proof is not None:
        yield from ("", f"[connection.{proof.kind}]")
        yield from (f"{key} = {_value(value)}" for key, value in proof.keys.items())
    if proof is not None and proof.knows_customer:
        yield from ("", "[connection.person]  # where a call names the customer: header, query, or path")
        person = draft.reading.person
        yield f"path = {_text(person)}  # guessed: all calls begin so" if person else f"header = {_text(TO_FILL)}"
    if proof is None or proof.kind != "oauth":
        yield from ("", "[connection.link]")
        yield from (f"{key} = {_text(TO_FILL)}" for key in ("start", "confirm", "unlink"))
        yield f"number_label = {_WORDS}"
    yield from _files(draft)


def _files(draft: DeclarationDraft) -> Iterator[str]:
    """Of a table, which is a file more often than the answer of an API."""
    if draft.reading.driver != "csv":
        return
    customer = draft.customer or TO_FILL
    yield from (
        "",
        '# If it gives files and has no API, write in place of the lines from kind on: kind = "files"',
        "# [connection.files]",
        f"# customer = {_text(customer)}  # the column that says whose a row is",
        '# kept = "P40D"  # how long after its import a file is kept',
        f"# number_label = {_WORDS}",
    )


def _datasets(draft: DeclarationDraft) -> Iterator[str]:
    for dataset in draft.datasets:
        yield from ("", "# " + "-" * 20 + f" {dataset.name}", "[[datasets]]", f"id = {_text(dataset.id)}  # guessed")
        if said := dataset.record.said or next((each.answer.said for each in dataset.found if each.answer.said), ""):
            yield f"# the schema says: {_comment(said)}"
        yield f"category = {_text(TO_FILL)}  # a [[category]] of policies/"
        yield 'sensitivity = "sensitive"  # guessed: none, sensitive or special'
        yield from (f"{key} = {_WORDS}" for key in ("label", "short", "long", "account"))
        yield _time(dataset)
        for field in dataset.fields:
            yield from _field(draft, field)


def _time(dataset: DatasetDraft) -> str:
    inside = _WORDS[:-2]
    if dataset.times is None:
        return f"time = {inside} }}  # guessed: no member says when a record was"
    find = f"{dataset.name}/{dataset.times.paths[0][0]}"  # of the record itself, also where the time stands deeper
    return f"time = {inside}, find = {_text(find)} }}  # guessed: {dataset.times.why}"


def _field(draft: DeclarationDraft, field: FieldDraft) -> Iterator[str]:
    yield from ("", "[[datasets.field]]")
    if field.structural:
        yield "# guessed: when and whose; given with every record"
    elif field.delicate:
        yield f"# guessed: {field.delicate}, so in a field of its own"
    if field.said:
        yield f"# the schema says: {_comment(field.said)}"
    yield f"id = {_text(field.id)}"
    yield from (f"{key} = {_WORDS}" for key in ("label", "short"))
    if field.structural:
        yield "structural = true"
    yield from _listed("find", [f"{draft.name_of(holder)}/{name}" for holder, name in field.find])


def _format(draft: DeclarationDraft) -> Iterator[str]:
    yield from (
        "",
        "# " + "-" * 20 + " how the organisation answers",
        "[format]",
        f"driver = {_text(draft.reading.driver)}",
    )
    if draft.reading.encoding != "utf-8":
        yield f"encoding = {_text(draft.reading.encoding)}"
    kinds = draft.reading.media_types
    if draft.reading.driver == "json" and kinds and kinds != ["application/json"]:
        yield f"accept = {_text(kinds[0])}"
        yield from _listed("media_types", kinds)


def _parameters(draft: DeclarationDraft) -> Iterator[str]:
    if not draft.reading.parameters:
        yield from ("", "# No query parameter is known, so every one is refused. For those an app may send:")
        yield from ("# [format.parameters]", '# since = { as = "from", written = "date" }')
        return
    yield from ("", "[format.parameters]  # whatever is not named here is refused")
    for name, parameter in draft.reading.parameters.items():
        keys = ", ".join(f"{key} = {_value(value)}" for key, value in parameter.keys.items())
        yield f"{_key(name)} = {{ {keys} }}  # guessed: {parameter.why}"


def _calls(draft: DeclarationDraft) -> Iterator[str]:
    for dataset in draft.datasets:
        own = next((each for each in dataset.found if not each.one), dataset.found[0])
        for each in dataset.found:
            yield from _call(draft, dataset, each, own)


def _call(draft: DeclarationDraft, dataset: DatasetDraft, each: Found, own: Found) -> Iterator[str]:
    answer = each.answer
    yield from ("", "[[format.calls]]", f"name = {_text(each.call)}")
    yield from (f"dataset = {_text(dataset.id)}", f"records = {_text(dataset.name)}")
    if answer.path:
        yield f"path = {_text(answer.path)}"
    else:
        yield f"path = {_text(f'/{TO_FILL}/{{account}}')}  # without {{account}}, if it has none"
    if answer.asks:
        yield f"asks = {_text(answer.asks)}  # guessed: {answer.why_asks}"
    if answer.query:
        yield from _listed("query", answer.query)
    if each.at != own.at:
        yield f"at = {_text(each.at)}"
    if each.envelope is not None and (whole := draft.name_of(each.envelope)) != "Answer":
        yield f"envelope = {_text(whole)}"
    if answer.name in unpaged(draft):
        yield "pages = false  # guessed: it has no parameter for a page, and others have"
    if each.one:
        yield "one = true  # guessed: one record, not a list"


def _pages(draft: DeclarationDraft) -> Iterator[str]:
    if draft.pages is None:
        yield from (
            "",
            "# guessed: there is one page. If more follow:",
            "# [format.pages]",
            '# by = "link"  # link-header, link, cursor, page or offset',
        )
        return
    yield from ("", f"[format.pages]  # guessed: {draft.pages.why}")
    yield from (f"{key} = {_value(value)}" for key, value in draft.pages.keys.items())


def _records(draft: DeclarationDraft) -> Iterator[str]:
    for dataset in draft.datasets:
        own = next((each for each in dataset.found if not each.one), dataset.found[0])
        yield from ("", f"[format.records.{dataset.name}]")
        plain = "" if own.at else f": the answer is the {'record' if own.one else 'list'}"
        yield f"at = {_text(own.at)}  # guessed{plain}"
        if dataset.account:
            yield f"account = {_text('.'.join(dataset.account))}  # guessed: by its name"
        elif dataset.is_ownerless:
            yield f'account = {_text(TO_FILL)}  # the member that says whose a record is, or whose = "person" instead'
        else:
            yield '# account = "MEMBER"  # guessed: without it, all records are of the account of the call'
        if dataset.times is None:
            yield '# instant = "MEMBER"  # guessed: without it, a record has no time of its own'
            continue
        for key, value in dataset.times.keys.items():
            yield f"{key} = {_value(value)}  # guessed: {dataset.times.why}"
        if length := _length(dataset.record):
            yield f"# length = {_text(length)}  # if a record lasts from its time on for that long"


def _length(record: Object) -> str:
    words = {"duration", "length", "duree", "interval"}
    names = (
        name
        for name, member in record.members.items()
        if isinstance(member.node, PlainValue) and member.node.word in "isn"
    )
    return next((name for name in names if guesses.words_of(name) & words), "")


def _around(draft: DeclarationDraft) -> Iterator[str]:
    if not draft.around:
        return
    yield from (
        "",
        "# Members beside the records never leave without a rule: same, only-page, not-before, not-after or account.",
    )
    yield "[format.around]"
    yield from (f'# {_text(place)} = "only-page"' for place in draft.around[:_AROUND])
    if len(draft.around) > _AROUND:
        yield f"# … and {len(draft.around) - _AROUND} more: see the types that begin with the answer, below"


def _required(draft: DeclarationDraft) -> Iterator[str]:
    first = draft.datasets[0]
    name = next(iter(first.record.members), "member")
    yield from (
        "",
        "# What readers of the format need although the person withheld it: withheld, drop_record, refuse or keep.",
    )
    yield from ("[format.required]", f'# {_text(f"{first.name}/{name}")} = {{ instead = "withheld" }}')


def _accounts(draft: DeclarationDraft) -> Iterator[str]:
    yield from (
        "",
        "# How the person's accounts are listed when she links them. If no call lists them, take it all out.",
    )
    yield "[format.accounts]"
    if draft.accounts:
        known = {key: value for key, value in draft.accounts.items() if value != TO_FILL}
        yield from (f"{key} = {_text(value)}  # guessed" for key, value in known.items())
    else:
        known = {}
        yield f"call = {_text(TO_FILL)}  # the name of a call that lists them"
        yield f"native = {_text(TO_FILL)}  # the member of its records that names the account"
    for key, what in (("label", "how she calls it"), ("kind", "what it is")):
        if key not in known:
            yield f'# {key} = "MEMBER"  # {what}; may be left out'
    yield '# closed = { MEMBER = ["VALUE"] }  # how an account that has ended is told'


def _csv(draft: DeclarationDraft) -> Iterator[str]:
    if draft.reading.csv:
        yield from ("", "[format.csv]  # guessed: from the first lines")
        yield from (f"{key} = {_text(value)}" for key, value in draft.reading.csv.items())


def _namespaces(draft: DeclarationDraft) -> Iterator[str]:
    if draft.reading.namespaces:
        yield from ("", "[format.namespaces]")
        yield from (f"{_key(prefix)} = {_text(space)}" for prefix, space in draft.reading.namespaces.items())


def _shapes(draft: DeclarationDraft) -> Iterator[str]:
    names = {id(kind): name for name, kind in draft.types.items()}
    yield from ("", "[format.shapes]")
    for name, kind in draft.types.items():
        if guess := _guesses(kind, draft.reading.seen):
            yield f"# guessed: {guess}"
        words = [f"{_member(key)}:{_word(member, names)}" for key, member in kind.members.items()]
        line = f"{_key(name)} = {_text(' '.join(words))}"
        yield line if len(line) <= _WIDE else "\n".join([f'{_key(name)} = """\\', *_wrapped(words), '"""'])


def _guesses(kind: Object, seen: bool) -> str:
    """What of a type's line was guessed, in words."""
    found: dict[str, list[str]] = {}
    for name, member in kind.members.items():
        value = within(member.node)[0]
        if isinstance(value, PlainValue) and (value.word in ("x", "p") or (seen and value.word in ("d", "v"))):
            found.setdefault(_KINDS[value.word], []).append(name)
        elif isinstance(value, PlainValue) and value.word == "-":
            found.setdefault("never given, for nothing is known of it", []).append(name)
    told = "; ".join(f"{', '.join(names)}: {what}" for what, names in found.items())
    return _comment(told, 400) or ("by the values seen" if seen else "")


def _word(member: Member, names: Mapping[int, str]) -> str:
    value, marks = within(member.node)
    if isinstance(value, PlainValue) and value.word in "-j":  # whatever it is, in lists or not
        return value.word
    return (value.word if isinstance(value, PlainValue) else names[id(value)]) + marks


def _member(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    return '"' + _clean(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _wrapped(words: Iterable[str]) -> Iterator[str]:
    """Lines of a multi-line text; a backslash at the end of one joins it to the next."""
    line = ""
    for word in words:
        word = _text(word)[1:-1]
        if line and len(line) + len(word) > _WIDE - 4:
            yield f"  {line} \\"
            line = ""
        line = f"{line} {word}" if line else word
    yield f"  {line}\\"


def _listed(key: str, values: list[str]) -> Iterator[str]:
    line = f"{key} = [{', '.join(map(_text, values))}]"
    yield from [line] if len(line) <= _WIDE else [f"{key} = [", *(f"  {_text(value)}," for value in values), "]"]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(name)} = {_value(each)}' for name, each in value.items())} }}"
    if isinstance(value, bool | int):
        return str(value).lower()
    return f"[{', '.join(map(_text, value))}]" if isinstance(value, list) else _text(value)


def _text(value: str) -> str:
    return json.dumps(_clean(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which JSON has and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _comment(text: str, length: int = _SAID) -> str:
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in _clean(text)).split())
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"


def report(draft: DeclarationDraft, file: str, *, unwritten: bool = False) -> Iterator[str]:
    """What was read, what was guessed, what the table cannot say, and what to do next. `unwritten`: it stands in no
    file yet."""
    text = toml(draft)
    yield f"read: {'; '.join(draft.reading.told)}"
    counts = {
        "type of data": len(draft.datasets),
        "field": sum(len(each.fields) for each in draft.datasets),
        "call": sum(len(each.found) for each in draft.datasets),
        "type in the table": len(draft.types),
        "text TO FILL": sum(line.partition("#")[0].count(TO_FILL) for line in text.splitlines()),
    }
    yield f"wrote: {', '.join(many(count, what) for what, count in counts.items())}"
    yield from _block("guessed (check each):", draft.guessed, 40)
    yield from _block("not said by the table:", list(grouped(draft.reading.notes)), 40)
    yield from (
        "next:",
        *(["  keep it in a file, as --out FILE does"] if unwritten else []),
        f"  aval organisations lint {file}",
        f"  aval organisations try {file} --answer AN-ANSWER",
        f"  aval organisations add {file}",
    )


def _block(title: str, lines: list[str], most: int) -> Iterator[str]:
    if lines:
        yield title
        yield from (f"  {_comment(line, 400)}" for line in lines[:most])
        if len(lines) > most:
            yield f"  … and {len(lines) - most} more of the kind"


def grouped(notes: Iterable[Remark]) -> Iterator[str]:
    """One line for all places of which the same is to be said, and one for all that is not enforced."""
    places: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        places.setdefault((note.what, note.instead), []).append(note.place)
    unenforced = {key: found for key, found in places.items() if key[0].endswith(NOT_ENFORCED)}
    for (what, instead), found in places.items():
        if (what, instead) not in unenforced:
            shown = list(dict.fromkeys(found))
            more = f" and {len(shown) - 2} more" if len(shown) > 2 else ""
            yield f"{', '.join(shown[:2])}{more}: {what}" + (f"; {instead}" if instead else "")
    if unenforced:
        told = ", ".join(
            f"{what.split()[0]} ({len(found)}×, as at {found[0]})" for (what, _), found in unenforced.items()
        )
        yield f"not enforced, for {UNENFORCED}: {told}"
