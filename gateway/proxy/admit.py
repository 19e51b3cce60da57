"""Is this call permitted, now? The third step, as a value: `Permit`, or `Refusal` with the term that refused.

1. the token's family lives, is of this consent, the token is for this organisation, and who uses it in the app's
   place may still do so
2. the log is whole, the consent is live now
3. it has begun and not run out
4. something was granted at this organisation
5. a plan of the organisation's sector knows the call, and covers it: data, account, period, parameters
6. every policy permits it
7. she has signed in as surely and as lately as the data needs
8. a use is left in every window
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from gateway.catalogue import SignInNeeded
from gateway.consent.rules import EndReason, State
from gateway.errors import LogFrozen, Refusal, Unavailable
from gateway.formats.model import Asked, Denied
from gateway.house import House
from gateway.ledger.contract import Count, Ledger
from gateway.ledger.standing import Standing
from gateway.ledger.uses import Uses
from gateway.proxy.compiling import Grants
from gateway.proxy.grants import Acting, Grant, Route
from gateway.proxy.tokens import Token

COMPILE_TRIES = 3


class Changing(Exception):
    """Consent, link or directory change faster than they can be read. The app may try again."""


@dataclass(slots=True)
class Permit:
    """Everything the rest of the call needs. A use is reserved until `Admission.settle`."""

    grant: Grant
    route: Route
    standing: Standing
    counts: tuple[Count, ...]
    acting: Acting | None  # who uses the token in the app's place


@dataclass(slots=True)
class Judged:
    """The verdict with whom it concerns, so that a refusal can be told to the person."""

    verdict: Permit | Refusal
    person: str
    facts: Mapping[str, Any]
    beyond: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # as in `Grant`


class Admission:
    def __init__(self, house: House, ledger: Ledger) -> None:
        self._ledger = ledger
        self._grants = Grants(house)
        self._uses = Uses(ledger)
        self._pools = house.pools
        self._log = house.log

    async def judge(self, token: Token, organisation: str, asked: Asked, now: datetime) -> Judged | None:
        """None: the token stands on nothing that lives (401). Raises Changing, Unavailable."""
        standing = self._ledger.held(token.consent, token.family, organisation)
        if standing is not None:
            judged = await self._judged(standing, token, organisation, asked, now)
            # What is remembered may be old where other processes write. For a permit the commit finds that out; a
            # refusal, or an invalid token, is told only by what the database holds now.
            if self._ledger.exact or (judged is not None and isinstance(judged.verdict, Permit)):
                return judged
        standing = await self._standing(token, organisation)
        return await self._judged(standing, token, organisation, asked, now)

    async def _judged(
        self, standing: Standing | None, token: Token, organisation: str, asked: Asked, now: datetime
    ) -> Judged | None:
        for _ in range(COMPILE_TRIES):
            # 1.
            if standing is None or not standing.family_lives or standing.app != token.client:
                if self._log.frozen:  # it may be in what is missing: apps throw away a token that is called invalid
                    raise Unavailable("log frozen")
                return None
            if organisation not in token.organisations:
                refusal = Refusal("dataset", "organisation", organisation, " ".join(sorted(token.organisations)))
                return Judged(refusal, standing.person, _facts(standing, token))
            # 2.
            if self._log.frozen:
                refusal = Refusal("log_frozen", retry_after=LogFrozen.retry_after)
                return Judged(refusal, standing.person, _facts(standing, token))
            if standing.state != State.ACTIVE:
                return Judged(_not_live(standing), standing.person, _facts(standing, token))
            grant = self._grants.get(token.consent, organisation, standing.generations, token.parts)
            if grant is None:
                grant = await self._compiled(token, organisation, standing.generations)
            if grant is not None:
                acting, facts = None, grant.facts
                if token.acting:
                    acting = grant.acting.get(token.acting)
                    if acting is None:  # what lets somebody else use it has ended: it is worth nothing any more
                        return None
                    facts = {**facts, **acting.facts}
                verdict = await self._covers(grant, standing, token, acting, asked, now)
                return Judged(verdict, standing.person, facts, grant.beyond)
            standing = await self._standing(token, organisation)
        raise Changing

    async def _standing(self, token: Token, organisation: str) -> Standing | None:
        return await self._ledger.standing(token.consent, token.family, organisation)

    async def _compiled(self, token: Token, organisation: str, terms: tuple[Any, ...]) -> Grant | None:
        """Compile in a thread, once however many calls wait for it."""
        work = partial(self._grants.compiled, token.consent, organisation, terms, token.parts)
        await self._pools.share("compile", "", (token.consent, organisation, token.parts), work)
        return self._grants.get(token.consent, organisation, terms, token.parts)

    async def _covers(
        self, grant: Grant, standing: Standing, token: Token, acting: Acting | None, asked: Asked, now: datetime
    ) -> Permit | Refusal:
        if acting is not None and acting.refusal is not None:
            return acting.refusal
        # 3.
        if now >= grant.until:
            return Refusal("ended", "valid", allowed=grant.until.isoformat())
        if now < grant.granted_at:
            return Refusal("not_yet_valid", "valid", allowed=grant.granted_at.isoformat())
        # 4.
        if grant.refusal is not None:
            return grant.refusal
        # 5.
        epoch = now.timestamp()
        route = grant.route(asked, now, epoch)
        if isinstance(route, Denied):
            return Refusal(route.reason, route.term, route.asked, route.allowed)
        # 6.
        if route.item.refusal is not None:
            return route.item.refusal
        # 7.
        if route.item.sign_in is not None:
            lacking = route.item.sign_in.lacks(token.acr, token.auth_time, epoch)
            if lacking:
                return _step_up(lacking, route.item.sign_in)
        # 8.
        counts: tuple[Count, ...] = ()
        limits = route.item.limits
        if limits and not (route.upstream.continues and await self._uses.continues(route.listing, epoch)):
            counts = tuple([limit.count(now, epoch) for limit in limits])
            used_up = await self._uses.reserve(counts)
            if used_up is not None:
                return exhausted(used_up, now)
        return Permit(grant, route, standing, counts, acting)

    async def unchanged(self, permit: Permit, token: Token) -> bool:
        """Whether a call that has waited may be made: all that it was judged by is as it was. If not it is judged
        again, and that says what follows."""
        judged = permit.standing
        now = self._ledger.held(judged.consent, judged.family, judged.organisation)
        if now is None:
            now = await self._standing(token, judged.organisation)
        return now is not None and now.row == judged.row and self.stands(permit) and not self._log.frozen

    def stands(self, permit: Permit) -> bool:
        """Whether the policies are still those it was judged by."""
        return self._grants.stands(permit.grant)

    async def still(self, permit: Permit, token: Token, now: datetime) -> bool:
        """Whether a stream may go on: the same consent, link and family, unexpired; no policy against it since, and
        its data described as before: a stream that has begun cannot be cut in another way."""
        standing = await self._standing(token, permit.standing.organisation)
        if standing is None or now >= permit.grant.until or self._log.frozen:
            return False
        if standing.row == permit.standing.row and self.stands(permit):
            return True
        if permit.grant.once and permit.standing.reason != EndReason.USED_UP == standing.reason:
            permit.standing = standing  # the stream's own entry has ended it: so it stands while the stream runs
            return True
        if standing.decisive != permit.standing.decisive:
            return False
        grant = await self._compiled(token, standing.organisation, standing.generations)
        item = grant.items.get(permit.route.upstream.dataset) if grant else None
        if grant is None or item is None or item.refusal is not None:
            return False
        if token.acting:
            acting = grant.acting.get(token.acting)
            if acting is None or acting.refusal is not None:
                return False
        upstream = permit.route.upstream
        if not grant.describes_like(permit.grant, (upstream.dataset, *upstream.also)):
            return False
        permit.standing = standing
        return True

    def listing(self, permit: Permit, now: datetime) -> bytes | None:
        """The listing of a counted call, where other processes are to know of it."""
        return None if self._ledger.exact else self._uses.to_tell(permit.route.listing, now.timestamp())

    def used_up(self, permit: Permit, found: Count | None) -> Count:
        """A limit was found used up when the use was to be counted. None: it was the only use, whose limit is last."""
        count = found or permit.counts[-1]
        self._uses.used_up(count)
        return count

    def settle(self, permit: Permit, now: datetime, *, given: bool) -> None:
        """The reserved use is used, or given back because nothing was given."""
        self._uses.settle(permit.counts, given)
        if given and permit.counts:
            self._uses.begun(permit.route.listing, now.timestamp())


def _step_up(lacking: str, needed: SignInNeeded) -> Refusal:
    """RFC 9470 §3: all that is needed is told, and not only what is lacking, so that one more sign-in is enough."""
    told = {"acr_values": needed.acr, "max_age": "" if needed.max_age is None else str(needed.max_age)}
    said = {"error": "insufficient_user_authentication", **{name: text for name, text in told.items() if text}}
    return Refusal(lacking, challenge=said)


def exhausted(count: Count, now: datetime) -> Refusal:
    if count.key[2] == "ever":
        return Refusal("max_uses", "max_uses", allowed=str(count.times))
    wait = max(1, count.end - int(now.timestamp()))
    return Refusal("frequency", "frequency", allowed=f"{count.times} per {count.key[2]}", retry_after=wait)


def _not_live(standing: Standing) -> Refusal:
    if standing.state == State.PAUSED:
        return Refusal("paused", "state")
    if standing.state == State.ENDED:
        return Refusal("max_uses" if standing.reason == EndReason.USED_UP else "ended", "state")
    return Refusal("no_consent", "state")


def _facts(standing: Standing, token: Token) -> dict[str, Any]:
    kind, _, who = token.acting.partition(" ")
    return {
        "consent": standing.consent,
        "generation": standing.generation,
        "client": standing.app,
        "organisation": standing.organisation,
        **({"processor": who} if kind == "app" else {}),
    }
