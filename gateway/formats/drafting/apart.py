"""Types of records, each with its own place: none stands inside another, and none is what stands around others.

Records inside a record would be judged by nothing of their own, only by the fields of the record around them. So a type
that is met in both places becomes two.
"""

from gateway.formats.drafting.nodes import Member, Node, Object, PlainValue, copied, inner
from gateway.formats.drafting.records import Found

Steps = tuple[str, ...]
_Around = dict[tuple[Object, Steps], Object]


def separate(found: list[Found]) -> None:
    """Changes the answers and the records of `found`; the records stay the same Python objects."""
    records = {each.record for each in found}
    around: _Around = {}
    for each in found:
        each.answer.node = _leading(each.answer.node, tuple(each.steps), records, around)
    copies: dict[Object, Object] = {}
    for record in records:
        for member in record.members.values():
            member.node = _inside(member.node, records, copies)


def _leading(node: Node, steps: Steps, records: set[Object], around: _Around) -> Node:
    """What leads to records, without types that are records elsewhere."""
    kind = inner(node)
    if kind is None or not steps:
        return node
    if (kind, steps) not in around:
        before = kind.members[steps[0]].node
        below = _leading(before, steps[1:], records, around)
        apart = kind in records or inner(below) is not inner(before)
        own = around[kind, steps] = _another(kind) if apart else kind
        own.members[steps[0]].node = below
    return _holding(node, around[kind, steps])


def _inside(node: Node, records: set[Object], copies: dict[Object, Object]) -> Node:
    """What stands in a record, without types that are records elsewhere."""
    kind = inner(node)
    if kind is None:
        return node
    if kind not in copies:
        own = _another(kind)
        changed = kind in records
        for member in own.members.values():
            below = _inside(member.node, records, copies)
            changed |= inner(below) is not inner(member.node)
            member.node = below
        copies[kind] = own if changed else kind
    return _holding(node, copies[kind])


def _another(kind: Object) -> Object:
    members = {name: Member(copied(member.node), member.said) for name, member in kind.members.items()}
    return Object(kind.name, members, kind.said)


def _holding(node: Node, kind: Object) -> Node:
    """The same lists and maps around another type."""
    return kind if isinstance(node, PlainValue | Object) else type(node)(_holding(node.of, kind))
