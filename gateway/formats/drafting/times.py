"""Which member of a record says when it was, and which says whose it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.formats.drafting import guesses
from gateway.formats.drafting.nodes import Object, PlainValue, ascii_words

Path = tuple[str, ...]  # members, from the record down

_WORTH = {  # word of a name → how likely it says when the record was
    "timestamp": 6,
    "instant": 6,
    "booking": 5,
    "operation": 4,
    "transaction": 4,
    "datetime": 4,
    "date": 3,
    "time": 3,
    "start": 2,
    "execution": 2,
    "created": 1,
    "creation": 1,
    "value": -1,
    "updated": -3,
    "update": -3,
    "modified": -3,
    "changed": -3,
    "change": -3,
    "last": -3,
    "end": -2,
    "due": -3,
    "expiry": -5,
    "expiration": -5,
    "valid": -3,
    "maturity": -9,
}
_OF_A_LIFE = ("birth", "born", "naissance", "dob", "geburt", "death", "deceased", "deces")  # and of no record
_STARTS = set("start begin from debut since opening".split())
_ENDS = set("end to until fin stop thru till".split())
_PARTS = ({"year", "annee"}, {"month", "mois"}, {"day", "jour"})
_ACCOUNTS = set(
    "account compte contract contrat line ligne msisdn meter policy police card subscription pdl prm".split()
)
_ACCOUNTS |= {"point", "iban", "membership", "subscriber", "customer", "client"}
_ALONE = {"msisdn", "iban", "pdl", "prm", "account", "compte"}  # say the identifier without a word for it


@dataclass(slots=True)
class Times:
    keys: dict[str, Any]  # of [format.records.X]
    paths: list[Path]
    why: str


def found(record: Object) -> Times | None:
    near = dict(_timely(record, 1)) or dict(_timely(record, 3))
    span = _span(near)
    best = max(near, key=lambda path: _worth(path, near[path]), default=None)
    if span and (best is None or best in span or _worth(best, near[best]) < 5):
        keys = {"span": [_dotted(path) for path in span], **_written(near[span[0]])}
        return Times(keys, list(span), "a start and an end; or `state`")
    if best is not None and _worth(best, near[best]) > -5:
        others = len(near) - 1
        why = f"by its name and how it is written{f'; {others} more look like times' if others else ''}"
        return Times({"instant": _dotted(best), **_written(near[best])}, [best], why)
    return _parts(record)


def _timely(record: Object, deepest: int, steps: Path = ()) -> Iterator[tuple[Path, str]]:
    for name, member in record.members.items():
        path = (*steps, name)
        if any(word.startswith(_OF_A_LIFE) or word.endswith("naissance") for word in ascii_words(name)):
            continue
        if isinstance(member.node, PlainValue):
            kind = _kind(name, member.node, member.said)
            if kind:
                yield path, kind
        elif isinstance(member.node, Object) and len(path) < deepest:
            yield from _timely(member.node, deepest, path)


def _kind(name: str, node: PlainValue, said: str) -> str:
    if node.kind in guesses.TIMES or node.word not in ("i", "n"):
        return node.kind if node.kind in guesses.TIMES else ""
    told = f"{said.lower()} {' '.join(ascii_words(name))}"
    if "epoch" in told or "unix" in told or "since 1970" in told:
        return "epoch-ms" if "milli" in told or " ms" in told else "epoch-s"
    return ""


def _worth(path: Path, kind: str) -> float:
    words = ascii_words(path[-1])
    return (
        sum(_WORTH.get(word, 0) for word in words)
        + 0.5 * (kind == "instant")
        - 0.1 * len(words)
        - 2 * (kind == "month")
    )


def _span(near: dict[Path, str]) -> tuple[Path, Path] | None:
    for path in near:
        words = ascii_words(path[-1])
        if not set(words) & _STARTS:
            continue
        rest = [word for word in words if word not in _STARTS]
        for other in near:
            others = ascii_words(other[-1])
            alike = other[:-1] == path[:-1] and near[other] == near[path]
            if alike and set(others) & _ENDS and [word for word in others if word not in _ENDS] == rest:
                return path, other
    return None


def _parts(record: Object) -> Times | None:
    names = {
        tuple(ascii_words(name)): name for name, member in record.members.items() if isinstance(member.node, PlainValue)
    }
    found = [next((names[word,] for word in words if (word,) in names), "") for words in _PARTS]
    if not (found[0] and found[1]):
        return None
    parts = [name for name in found if name]
    return Times({"parts": parts}, [(name,) for name in parts], "by their names; months_from = 0 if January is 0")


def _written(kind: str) -> dict[str, Any]:
    return {} if kind in ("instant", "date") else {"written": "iso" if kind == "month" else kind}


def _dotted(path: Path) -> str:
    return ".".join(path)


def account(record: Object) -> Path | None:
    """The member that names the account a record is of."""
    of_account = bool(set(ascii_words(record.name)) & _ACCOUNTS)

    def worth(name: str) -> int:
        words = ascii_words(name)
        telling = [word for word in words if word in _ACCOUNTS]
        node = record.members[name].node
        if not isinstance(node, PlainValue) or node.word not in ("s", "p", "i", "v") or node.enough:
            return 0
        if telling and guesses.says_identifier(name):
            return 9 - len(words)
        if words and set(words) <= _ALONE:
            return 5
        return 3 if of_account and words in (["id"], ["identifier"], ["resource", "id"]) else 0

    best = max(record.members, key=worth, default="")
    return (best,) if best and worth(best) else None
