"""Shapes: every member of every type of a format, as lines of words.

    PhoneCall = "timestamp:s length:i partner:p latitude:n"

One line for each type, one `member:word` for each member. A name with blanks or quotes is written in double quotes
("Date of birth":s); the word stands behind the last colon. The words:

    s string · x free text, in which names may stand · b true or false · i integer · n number, kept as written
    d decimal number written as a string · v string, number or true/false, kept as written · j any JSON, given whole
    p an identifier, of which each app gets its own · - known, and never given · ! where it stands nothing is given
    a name of the table: that type · `*` behind a word: a list of such · `{}`: an object with any keys and such values

In XML `@name` is an attribute and `.` the text of the element. A type may not contain itself.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

Table = Mapping[str, str]  # type → its line
SCALARS = ("s", "x", "b", "i", "n", "d", "v", "j", "p", "-", "!")
NEVER = ("-", "!")
TEXTS = ("s", "x", "d", "p")  # what is a JSON string
_MEMBER = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)):([^\s:"]+)(?=\s|$)')
_WORD = re.compile(r"(?P<inner>-|!|[A-Za-z][A-Za-z0-9_.@-]*)(?:\*|\{\})*")


class BadShape(Exception):
    """A line that is not of this form. Says what would be right."""


@lru_cache(maxsize=1024)
def _members(line: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while line[at:].strip():
        word = _MEMBER.match(line, at)
        if word is None:
            raise BadShape(f"{line[at:].split()[0][:60]!r} is not member:word")
        name = re.sub(r"\\(.)", r"\1", word[1]) if word[1] is not None else word[2]
        if not name:
            raise BadShape(f"a member without a name before :{word[3]}")
        if not _WORD.fullmatch(word[3]):
            raise BadShape(f"{name}: {word[3]!r} is no word of shapes")
        if name in found:
            raise BadShape(f"{name} stands twice")
        found[name] = word[3]
        at = word.end()
    return found


def members(table: Table, kind: str) -> dict[str, str]:
    """The members of a type of the table, in order: name → word. Raises BadShape."""
    return _members(table[kind])


def inner(word: str) -> str:
    """The word without what makes it a list or an object of any keys."""
    return word.rstrip("*{}")


def written(name: str, word: str) -> str:
    """One member as it stands in a line."""
    plain = re.fullmatch(r'[^\s"]+', name) is not None
    quoted = name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{quoted}:{word}"


def toml(words: str) -> str:
    """A line's words as a text of TOML: in single quotes where names stand in double ones, if these can hold it."""
    if '"' in words and "'" not in words and words.isprintable():
        return f"'{words}'"
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def reached(table: Table, root: str) -> Iterator[str]:
    """The type and every type that a value of it may contain, each once. Raises BadShape for an unknown one."""
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        kind = waiting.pop()
        if kind in seen or kind in SCALARS:
            continue
        if kind not in table:
            raise BadShape(f"{kind} is no type of the table")
        seen.add(kind)
        yield kind
        waiting += [inner(word) for word in members(table, kind).values()]


def faults(table: Table) -> Iterator[tuple[str, str]]:
    """(type, what is wrong) for each type: a line of another form, a type that is not there, one inside itself."""
    for kind in table:
        try:
            below = {name: inner(word) for name, word in members(table, kind).items()}
        except BadShape as fault:
            yield kind, str(fault)
            continue
        if kind in (*SCALARS, "Raw") or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", kind):
            yield kind, "a type has a name of letters and digits that is none of the words"
        for name, word in below.items():
            if word not in SCALARS and word not in table:
                yield kind, f"{name}: {word} is no type of the table and none of {' '.join(SCALARS)}"
    yield from _circles(table)


def _circles(table: Table) -> Iterator[tuple[str, str]]:
    whole = {kind: _below(table, kind) for kind in table}

    def contains_itself(kind: str) -> bool:
        seen: set[str] = set()
        waiting = list(whole[kind])
        while waiting:
            each = waiting.pop()
            if each == kind:
                return True
            if each not in seen:
                seen.add(each)
                waiting += whole.get(each, ())
        return False

    for kind in table:
        if contains_itself(kind):
            yield kind, "it contains itself; write j for the part that does, or give that part a call of its own"


def _below(table: Table, kind: str) -> list[str]:
    try:
        return [inner(word) for word in members(table, kind).values() if inner(word) not in SCALARS]
    except BadShape:
        return []
