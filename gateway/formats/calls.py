"""Which calls an app may make of a declared format, and what the organisation is asked: path, account, period, query.

    the app's call ──recognised──► call, its account ──query──► parameters ──asked──► path, query and body upstream

What is not declared is refused. A period is never wider than the window, whether the app named one or not. Nothing of
what the app sends reaches the organisation but values that were judged here.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from gateway.catalogue.formats import CUSTOMER, PLACED, Format, FormatCall, FormatParameter
from gateway.formats import paging
from gateway.formats.model import Account, Asked, Denied, Source, Upstream
from gateway.formats.names import AccountNames
from gateway.formats.paging import TOKEN, TOKEN_FORM, Following, Leading, Step
from gateway.formats.paths import link, pattern
from gateway.formats.periods import Periods, period_of, with_use
from gateway.ground.calendar.instants import Window
from gateway.ground.http.connector import Pairs

_VALUE = re.compile(r"[A-Za-z0-9._~:+=|/,-]{1,256}")
_PLAIN = re.compile(r"[\w.~:+@/| -]{1,256}")  # no quote, bracket, comma or the like ends or begins anything
_OURS = {"from", "to", "fields", "account", CUSTOMER}
_WORD = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}


class Unwritable(Exception):
    """A value cannot stand where the declaration has it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The members of a record, by name, that an organisation is asked for where it can send fewer than all."""

    given: tuple[str, ...] = ()  # an app may choose among these
    needed: tuple[str, ...] = ()  # without these no record can be judged, or told to be there: at least one

    def text(self, wanted: frozenset[str]) -> str:
        return ",".join(dict.fromkeys((*(name for name in self.given if name in wanted), *self.needed)))


@dataclass(frozen=True, slots=True)
class Recognised:
    call: FormatCall
    ref: str | None  # the account in the path
    words: Mapping[str, str]  # other segments of the path


class Calls:
    """The calls of one format at one organisation."""

    def __init__(self, form: Format, source: Source) -> None:
        self._form, self._source = form, source
        self._periods = Periods(form, source)
        self._named: dict[str, Mapping[str, frozenset[str]]] = {}
        self.base = source.base_path or form.base
        pages = form.pages
        self._cursor = pages.parameter if pages is not None and pages.by == "cursor" else ""  # holds a token, too
        self._patterns = [(pattern(self.base + call.path), call) for call in form.calls.values()]

    def recognised(self, path: str) -> Recognised | None:
        for form, call in self._patterns:
            found = form.fullmatch(path)
            if found:
                words = found.groupdict()
                ref = words.pop("account", None)
                return Recognised(call, ref, words)
        return None

    # ---- what an app asks

    def upstream(
        self,
        found: Recognised,
        names: AccountNames,
        asked: Asked,
        window: Window,
        fields: frozenset[str],
        selection: Selection,
        unit: str = "",
    ) -> Upstream | Denied:
        """The call to the organisation, or a refusal. `fields`: those that are granted. `unit`: of time, that a period
        may not cut; the window is of such."""
        call = found.call
        if found.ref is not None and found.ref not in names.native:
            return Denied("account", "accounts", asked=found.ref, allowed=" ".join(a.ref for a in names.accounts))
        query = self._checked(call, asked, fields)
        if isinstance(query, Denied):
            return query
        following: Following | None = None
        token = next((query.pop(name) for name in (TOKEN, self._cursor) if name in query), "")
        if token:
            following = paging.opened(self._source, token, *self.context(call, names, found.ref))
            if following is None or query:
                return Denied("field", TOKEN, allowed="the whole address of a following page, unchanged")
            if wrong := self._needing(call, following.step, fields):
                return wrong
            # of an answer no page leaves, and its next part begins where the last one ended
            period = self._periods.within(window, following.period, unit if call.answer is None else "")
            query = self._still_selected(call, following.step, selection)
            ahead = following.ahead
        else:
            ahead = call.answer is None and not query.keys().isdisjoint(with_use(self._form, call, "to"))
            period = self._periods.asked(query, window, unit)
        if isinstance(period, Denied):
            return period
        selected = self._selected(call, query, selection)
        if isinstance(selected, Denied):
            return selected
        values = (*self._values(call, names, query), *selected)
        native = None if found.ref is None else names.native[found.ref]
        words = {name: names.inward(value) for name, value in found.words.items()}
        kept = tuple(account for account in names.accounts if native is None or account.native == native)
        try:
            return self.made(call, kept, native, period, values, following, words, ahead=ahead)
        except Unwritable:
            return Denied("account" if native else "field", "query", asked="malformed")

    def context(self, call: FormatCall, names: AccountNames, ref: str | None) -> tuple[str, ...]:
        """What a token for a following page is bound to: the app and person (by their references), and the call."""
        native = None if ref is None else names.native[ref]
        refs = sorted(names.ref[account.native] for account in names.accounts if native in (None, account.native))
        return (self._source.organisation, call.name, *refs)

    def _checked(self, call: FormatCall, asked: Asked, fields: frozenset[str]) -> dict[str, str] | Denied:
        """The query as a mapping, or a refusal if a parameter is unknown, repeated, malformed or needs a field."""
        found: dict[str, str] = {}
        allowed = " ".join(sorted(self._may_send(call)))
        known = {*self._may_send(call), TOKEN}
        for name, value in asked.query:
            form = TOKEN_FORM if name in (TOKEN, self._cursor) else _VALUE
            if name not in known or name in found or not form.fullmatch(value):
                return Denied("field", "query", asked=name[:64], allowed=allowed)
            found[name] = value
            if name != TOKEN and (wrong := _wrong(self._form.parameters[name], value, fields)):
                return wrong
        return found

    def _needing(self, call: FormatCall, step: Step, fields: frozenset[str]) -> Denied | None:
        """A refusal if a parameter of a following page needs a field that is granted no more."""
        words = (word for name, _ in step[1] for word in self._meant(call).get(name, (name,)))
        needs = (self._form.parameters[word].needs for word in words if word in self._form.parameters)
        missing = next((each for each in needs if each and each not in fields), None)
        return None if missing is None else Denied("field", "fields", asked=missing, allowed=" ".join(sorted(fields)))

    def _may_send(self, call: FormatCall) -> tuple[str, ...]:
        """The parameters an app may send. Of an answer over records none that says which of them count, or how many:
        they would be told apart by asking twice."""
        if call.answer is None:
            return call.query
        uses = ("choice",) if call.answer.per == "all" else ("choice", "from", "to")
        return tuple(name for name in call.query if self._form.parameters[name].use in uses)

    def _selected(self, call: FormatCall, query: dict[str, str], selection: Selection) -> Pairs | Denied:
        """The parameters that say which members the organisation sends: of those that are given the ones that an app
        names, else all, and always those that records are judged by. They are taken out of `query`."""
        found = []
        for name in with_use(self._form, call, "fields"):
            text = query.pop(name, None)
            wanted = frozenset(selection.given if text is None else filter(None, text.split(",")))
            unknown = sorted(wanted.difference(selection.given))
            if unknown or not (wanted or text is None or selection.given == ()):
                unknown = unknown or [str(text)]
                return Denied("field", name, asked=unknown[0][:64], allowed=" ".join(selection.given))
            found.append((name, selection.text(wanted)))
        return tuple(found)

    def _still_selected(self, call: FormatCall, step: Step, selection: Selection) -> dict[str, str]:
        """What an app chose on the first page, without what is given no more."""
        found = {}
        for name, value in step[1]:
            for word in self._meant(call).get(name, (name,)):
                if self._use(word) == "fields":
                    found[word] = ",".join(each for each in value.split(",") if each in selection.given)
        return {name: value for name, value in found.items() if value}

    def _values(self, call: FormatCall, names: AccountNames, query: Mapping[str, str]) -> Pairs:
        """Parameters that lead to a page, as the organisation wrote them; all others as they are."""
        return tuple(
            (name, names.inward(value) if self._form.parameters[name].use == "page" else value)
            for name, value in query.items()
        )

    # ---- what the organisation is asked

    def own(self, call: FormatCall, page: Pairs) -> Pairs:
        """What of a page is the organisation's to say."""
        return tuple(pair for pair in page if self._uses(call, pair[0]).isdisjoint(_OURS))

    def made(
        self,
        call: FormatCall,
        accounts: tuple[Account, ...],
        native: str | None,
        period: Window,
        values: Pairs = (),
        following: Following | None = None,
        words: Mapping[str, str] | None = None,
        *,
        ahead: bool = False,
    ) -> Upstream:
        """`native`: the account in the call, None where it names none. `following`: the page, if not the first.
        `ahead`: as in `Upstream`."""
        path, own = ("", ()) if following is None else following.step
        part = self._periods.part(call, period, ahead=ahead)
        edges = self._periods.edges(call, period, part)
        # whatever a page is said to have: whose it is, of what period and with which members is ours to say
        own = self.own(call, own)
        target, _, fixed = (call.asks or call.path).partition("?")
        known = {**(words or {}), **dict(values), **dict(own), **dict(edges), "account": native or ""}
        placed = call.placed
        query = tuple(pair for pair in _filled_query(fixed, known) if pair[0] not in {name for name, _ in own})
        query += tuple(pair for pair in (*edges, *values, *own) if pair[0] not in placed)
        body = _filled(call.body, known) if call.body is not None else None
        return Upstream(
            dataset=call.dataset,
            path=path or self.base + _WORD.sub(partial(_in_path, known), target),
            query=query,
            accept=self._form.accept,
            accounts=accounts,
            continues=following is not None,
            operation=call.name,
            method=call.method,
            body=b"" if body is None else _encoded(body, call.sends),
            content_type=CONTENT_TYPES[call.sends] if call.method == "POST" else "",
            placed=frozenset(name for name, words in self._meant(call).items() if CUSTOMER in words),
            page=(*values, *own),
            period=period,
            ahead=ahead,
            part=part,
            listing="" if following is None else following.listing,
            over_records=call.answer is not None,
        )

    def _use(self, name: str) -> str:
        known = self._form.parameters.get(name)
        return "" if known is None else known.use

    def _meant(self, call: FormatCall) -> Mapping[str, frozenset[str]]:
        """The organisation's own names of parameters in `asks` → the words of the declaration that they hold."""
        found = self._named.get(call.name)
        if found is None:
            pairs = parse_qsl(call.asks.partition("?")[2], keep_blank_values=True)
            found = self._named[call.name] = {
                name: frozenset(words) for name, value in pairs if (words := PLACED.findall(value))
            }
        return found

    def _uses(self, call: FormatCall, name: str) -> set[str]:
        """What a parameter of the organisation's is for."""
        return {self._use(word) or word for word in self._meant(call).get(name, (name,))}

    # ---- following pages

    def address(self, call: FormatCall, names: AccountNames, sent: Upstream, query: Pairs = ()) -> str:
        """Of the call at the gateway, as the app may make it."""
        path = self.base + call.path
        if "{account}" in path:
            path = path.replace("{account}", names.ref[sent.accounts[0].native])
        return link(self._source.gateway_url, path, query)

    def count_parts(self, sent: Upstream) -> int:
        """In how many parts its period is asked for, from this one on."""
        call, count = self._form.calls[sent.operation], 1
        while (rest := self._periods.after(call, sent)) is not None:
            sent = replace(sent, period=rest, part=self._periods.part(call, rest, ahead=sent.ahead))
            count += 1
        return count

    def after(self, sent: Upstream) -> Leading | None:
        """The next part of a period, from its first page on; None: there is none."""
        rest = self._periods.after(self._form.calls[sent.operation], sent)
        if rest is None:
            return None
        return Leading(
            ("", tuple(pair for pair in sent.page if self._use(pair[0]) in ("size", "choice", "fields"))), rest
        )

    def token(
        self, call: FormatCall, names: AccountNames, sent: Upstream, step: Step, period: Window | None = None
    ) -> str:
        """Of another page of the same call. `period`: None: that this one was asked for."""
        ref = names.ref[sent.accounts[0].native] if "{account}" in call.path else None
        path, own = step
        there = {name for name, _ in own}
        # what an app chose, where only the declaration knows what to make of it
        own = (*own, *(pair for pair in sent.page if self._is_placed(call, pair[0]) and pair[0] not in there))
        page = Following((path, own), period or period_of(sent), paging.listing(sent), sent.ahead)
        return paging.sealed(self._source, page, *self.context(call, names, ref))

    def _is_placed(self, call: FormatCall, name: str) -> bool:
        return self._use(name) == "choice" and name in call.placed


def _in_path(known: Mapping[str, str], word: re.Match[str]) -> str:
    return word[0] if word[1] == CUSTOMER else quote(known[word[1]], safe="")


def _wrong(known: FormatParameter, value: str, fields: frozenset[str]) -> Denied | None:
    """What is wrong with the value of a parameter."""
    if known.needs and known.needs not in fields:
        return Denied("field", "fields", asked=known.needs, allowed=" ".join(sorted(fields)))
    if known.use == "choice" and value not in known.values:
        return Denied("field", known.name, asked=value[:64], allowed=" ".join(known.values))
    if known.use == "size" and known.most and not (value.isdecimal() and 0 < int(value) <= known.most):
        return Denied("field", known.name, asked=value[:64], allowed=f"1 to {known.most}")
    return None


def _filled_query(fixed: str, known: Mapping[str, str]) -> Pairs:
    """The query that stands in `asks`, without the pairs whose word has no value."""
    pairs = ((name, _put(value, known)) for name, value in parse_qsl(fixed, keep_blank_values=True))
    return tuple((name, value) for name, value in pairs if value is not None)


def _filled(template: Any, known: Mapping[str, str]) -> Any:
    """The body with values in place of its words. A member whose word has no value is left out."""
    if isinstance(template, dict):
        made = {name: _filled(value, known) for name, value in template.items()}
        return {name: value for name, value in made.items() if value is not None}
    if isinstance(template, list):
        return [value for value in (_filled(each, known) for each in template) if value is not None]
    return _put(template, known) if isinstance(template, str) else template


def _put(text: str, known: Mapping[str, str]) -> str | None:
    """The text with values in place of its words; None: one has none. The customer's is put in by the connector.

    Raises Unwritable where a value stands inside a longer text and could end it, or begin another.
    """
    words = [word for word in PLACED.findall(text) if word != CUSTOMER]
    if not all(known.get(word) for word in words):
        return None
    if words and text != f"{{{words[0]}}}" and not all(_PLAIN.fullmatch(known[word]) for word in words):
        raise Unwritable
    return _WORD.sub(lambda word: known.get(word[1], word[0]), text)


def _encoded(body: Any, sends: str) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode() if sends == "json" else urlencode(body).encode()
