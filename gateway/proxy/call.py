"""One data call, `GET /data/{organisation}/{path}`: six steps, in this order, in `_attempt`.

    1. guard    one reading of the path and query                       guard
    2. token    ours, unexpired, and held by whoever sends it           shown, tokens
    3. admit    live now, covered by what was agreed, a use left        admit
    4. fetch    by the organisation's own credential for this person    fetch
    5. filter   to the agreed fields, accounts and period               formats
    6. record   the entry on the disk, then the first byte              writer

Raw ASGI: nothing between these lines and the server. A refusal is a value and goes to the
person's log; whatever is not foreseen delivers nothing.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Literal

import anyio.to_thread

from gateway.errors import Refusal, Unavailable, where
from gateway.formats.model import Asked, Counts, Cut, NotThere, TooLarge, UnknownShape
from gateway.formats.table_plan import TablePlan
from gateway.ground.http import guard, problems
from gateway.ground.http.connector import Answer, ConnectorError, GoesOn, Headers, Withdrawn
from gateway.ground.http.guard import Receive, Scope, Send
from gateway.ground.keys import fresh
from gateway.house import House
from gateway.ledger import recovery
from gateway.ledger.contract import Item, Verdict
from gateway.ledger.opening import open_ledger
from gateway.ledger.writer import Writer
from gateway.log import Event
from gateway.log.record import instant as instant_of
from gateway.proxy import admit, headers, pages, refuse
from gateway.proxy.admit import Admission, Changing, Judged, Permit
from gateway.proxy.browsers import Browsers
from gateway.proxy.denials import Denials
from gateway.proxy.fetch import Renewed, fetch
from gateway.proxy.filtering import filtered
from gateway.proxy.rates import Rates
from gateway.proxy.scoped import NeededScopes, is_plain, may_help
from gateway.proxy.shown import NoToken, ShownTokens
from gateway.proxy.streams import AnswerStream
from gateway.proxy.tokens import Token

ATTEMPTS = 3  # of one call, while its consent or credential changes under it
FLUSH_SECONDS = 15.0
GC_THRESHOLD = (20_000, 20, 50)  # a call makes few cycles; looking for them after every 700 objects cost 4 % of its CPU

Done = Literal["answered", "again"]
_log = logging.getLogger("gateway.proxy")
instant = lru_cache(maxsize=1024)(instant_of)  # of records: the instants of one page come back when it is read again


@dataclass(slots=True)
class DataCall:
    """One request, as read once."""

    scope: Scope
    receive: Receive
    send: Send
    id: str
    now: datetime
    organisation: str
    asked: Asked
    token: Token | None = None
    proof: bytes | None = None  # of the token's key, as others know it
    may_renew: bool = True


class DataPlane:
    def __init__(self, house: House) -> None:
        self._house = house
        self._settings = house.settings
        self._shown = ShownTokens(house)
        self._browsers = Browsers(house)
        self._scopes = NeededScopes(house)
        self.writer = Writer(open_ledger(house.store, house.log))
        self._denials = Denials(self.writer)
        self._rates = Rates(house.settings)
        self._admission: Admission | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._prefix, self._number = fresh(9), 0

    async def start(self) -> None:
        gc.collect()
        gc.freeze()  # what is there by now stays; there is no need to look at it again and again
        gc.set_threshold(*GC_THRESHOLD)
        await self.writer.start(asyncio.get_running_loop())
        self._admission = Admission(self._house, self.writer.ledger)
        self._flushing = asyncio.ensure_future(self._flush())

    async def recover(self, living: Callable[[], Collection[str]]) -> None:
        """Write the outcome of streams of processes that do not live. Raises Unavailable."""
        streams = await anyio.to_thread.run_sync(recovery.left_open, self._house.store, living)
        await recovery.close(self.writer, streams, self._house.clock())

    async def stop(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        if self._admission is not None:
            try:
                await self._denials.flush(float("inf"))
            except Unavailable as error:
                _log.error("counts of refusals could not be written to the log and are lost: %s", error.detail)
            await self.writer.stop()
            self._admission = None

    def share(self, processes: int) -> None:
        """From now on as many processes serve the database. On the event loop."""
        self._rates.share(processes)

    def fault(self) -> str:
        """Why no data can be given, until a restart; empty when all is well. May be asked from any thread."""
        return self.writer.fault()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            with contextlib.suppress(Unavailable):  # what was counted stays counted until it can be written
                await self._denials.flush(self._house.clock().timestamp())

    def _next_id(self) -> str:
        self._number += 1
        return f"{self._prefix}-{self._number:x}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if any(name == b"origin" for name, _ in scope["headers"]):
            if scope["method"] == "OPTIONS" and await self._browsers.asked(scope, send):
                return
            send = await self._browsers.sender(scope, send)
        if scope["method"] not in ("GET", "HEAD"):
            await problems.plain(send, 405, [(b"allow", b"GET, HEAD")])
            return
        try:
            # 1. guard
            call = self._read(scope, receive, send)
            if call is None:
                await problems.plain(send, 400)
                return
            for _ in range(ATTEMPTS):
                if await self._attempt(call) == "answered":
                    return
            await problems.unavailable(send)
        except (Unavailable, Changing):
            await problems.unavailable(send)
        except Exception as error:  # nothing has been sent: what follows the first byte is in streams
            _log.error("data call failed: %s", where(error))
            store = self._house.store
            if store.note_damage(error) or store.is_fault(error):
                await problems.unavailable(send)
            else:
                await problems.plain(send, 500)

    def _read(self, scope: Scope, receive: Receive, send: Send) -> DataCall | None:
        _, _, rest = scope["path"].partition("/data/")
        organisation, slash, path = rest.partition("/")
        query = guard.query_pairs(scope["query_string"])
        if not slash or not path or query is None:
            return None
        request_id = scope.get("aval.request_id") or self._next_id()
        asked = Asked("GET", slash + path, query)
        return DataCall(scope, receive, send, request_id, self._house.clock(), organisation, asked)

    async def _attempt(self, call: DataCall) -> Done:
        # 2. token
        token = call.token = call.token or await self._token(call)  # its proof is good once, also for a second attempt
        if token is None:
            return "answered"
        # 3. admit
        admission = self._admission
        if admission is None:
            raise Unavailable("data plane: not started")
        judged = await admission.judge(token, call.organisation, call.asked, call.now)
        if judged is None:
            return await self._challenged(call, "invalid_token", dpop=token.key is not None)
        permit = judged.verdict
        too_many = self._rates.refusal(token, judged.person, call.organisation, call.now.timestamp())
        if too_many is not None:
            if isinstance(permit, Permit):
                admission.settle(permit, call.now, given=False)
            permit = too_many
        if isinstance(permit, Refusal):
            return await self._refused(call, judged, permit)
        settled = False
        try:
            # 4. fetch
            goes_on = partial(admission.unchanged, permit, token)
            if not await goes_on():  # it may have waited for the grant to be compiled, or for its uses
                return "again"
            answer = await fetch(self._house, permit, call.id, call.now, may_renew=call.may_renew, goes_on=goes_on)
            # 5. filter
            held = await self._cut(call, permit, answer, goes_on)
            if not admission.stands(permit):  # it is judged and cut by the policies as they are when it leaves
                if isinstance(held, AnswerStream):
                    await held.answer.abort()
                return "again"
            # 6. record
            item = self._entry(call, token, permit, held)
            verdict = await self._recorded(item, held)
            if verdict is not Verdict.WRITTEN:
                return await self._not_recorded(call, admission, judged, permit, item)
            settled = True  # at once: the use is in the database now, and may be read there
            admission.settle(permit, call.now, given=True)
            if isinstance(held, AnswerStream):
                await self._stream(call, token, judged, permit, held, item)
            else:
                await _release(call, held)
            return "answered"
        except Renewed:
            call.may_renew = False
            return "again"
        except Withdrawn:
            return "again"
        except NotThere:
            return await self._refused(call, judged, Refusal("not_there"))
        except ConnectorError as fault:
            _log.info("organisation %s: %s, %s, call %s", call.organisation, fault.reason, fault.detail, call.id)
            return await self._refused(call, judged, Refusal(fault.reason, retry_after=fault.retry_after))
        except UnknownShape as shape:  # `where` is a place in the format, never a value
            _log.info("organisation %s: unknown shape at %s, call %s", call.organisation, shape.where, call.id)
            if self._house.undeclared is not None:
                self._house.undeclared.refused(call.organisation, permit.route.upstream.dataset, shape.where)
            return await self._refused(call, judged, Refusal("organisation_answer_invalid"))
        except TooLarge:
            return await self._refused(call, judged, Refusal("too_large"))
        finally:
            if not settled:
                admission.settle(permit, call.now, given=False)

    # ---- 2. token

    async def _token(self, call: DataCall) -> Token | None:
        """The valid token of the request; None when it was answered with a challenge."""
        shown = await self._shown.read(call.scope, call.now.timestamp())
        if isinstance(shown, NoToken):
            await self._challenged(call, shown.error, dpop=shown.dpop, nonce=shown.nonce)
            return None
        call.proof = shown.proof
        return shown.token

    async def _challenged(self, call: DataCall, error: str, *, dpop: bool, nonce: str = "") -> Done:
        resource = f"/data/{call.organisation}"
        public_url = self._settings.public_url
        about_token = error in ("", "invalid_token")  # then a new request may help; with another proof there is no need
        scope = await self._scopes.at(call.organisation, call.asked.path) if about_token else ""
        said = {"error": error, "scope": scope}
        await refuse.challenge(call.send, resource, said, dpop=dpop, public_url=public_url, nonce=nonce)
        return "answered"

    # ---- 5. filter

    async def _cut(self, call: DataCall, permit: Permit, answer: Answer, goes_on: GoesOn) -> Cut | AnswerStream:
        """The answer as the app may have it: whole, or as a stream when it is too large to be held."""
        if permit.route.upstream.over_records:
            path, renew = call.asked.path, call.may_renew
            return await pages.answered(
                self._house, permit, path, answer, call.id, call.now, may_renew=renew, goes_on=goes_on
            )
        media_type, announced, link = headers.described(answer.headers)
        if media_type is None:
            await answer.abort()
            raise ConnectorError("organisation_answer_invalid", "content type")
        limit = self._settings.answer_limit_bytes
        if announced is not None and int(announced) <= limit:
            return await self._whole(permit, media_type, await answer.read(limit), link)
        held, rest, size = [], answer.chunks(), 0
        async for chunk in rest:
            held.append(chunk)
            size += len(chunk)
            if size > limit or announced is not None:
                return await self._streamed(permit, media_type, answer, held, rest, link)
        return await self._whole(permit, media_type, b"".join(held), link)

    async def _whole(self, permit: Permit, media_type: str, body: bytes, link: str) -> Cut:
        route = permit.route
        work = partial(route.part.plan.cut, route.upstream, media_type, body, route.window, link)
        return await filtered(self._house.pools, permit, len(body), work)

    async def _streamed(
        self,
        permit: Permit,
        media_type: str,
        answer: Answer,
        held: list[bytes],
        rest: AsyncIterator[bytes],
        link: str,
    ) -> AnswerStream:
        route = permit.route
        cutter = route.part.plan.cutter(route.upstream, media_type, route.window)
        if cutter is None:
            await answer.abort()
            raise TooLarge
        written = getattr(cutter, "media_type", media_type)  # a table is written in UTF-8, whatever it was read in
        plan, limit = route.part.plan, self._settings.stream_limit_bytes
        ahead = plan.ahead(route.upstream, link) if isinstance(plan, TablePlan) else ("", "")
        return AnswerStream(answer, cutter, held, rest, written, limit, ahead)

    # ---- 6. record

    def _entry(self, call: DataCall, token: Token, permit: Permit, held: Cut | AnswerStream) -> Item:
        """Where a stream begins, how much is given is told by its outcome entry."""
        facts: dict[str, Any] = {
            **permit.route.facts,
            "request_id": call.id,
            "token": token.digest,
        }
        opens = None
        if isinstance(held, AnswerStream):
            facts["outcome"] = "begun"
            opens = call.id
        else:
            facts |= told(held.counts, len(held.body))
            facts["outcome"] = "partly" if held.counts.records_withheld else "delivered"
        actor = "app"
        if permit.acting is not None:
            facts |= permit.acting.facts
            actor = permit.acting.actor
        event = Event("access", permit.standing.person, call.now, actor, facts)
        admission = self._admission
        listing = admission.listing(permit, call.now) if admission is not None and permit.counts else None
        return Item(
            event, permit.standing, permit.counts, permit.grant.once, opens=opens, proof=call.proof, listing=listing
        )

    async def _recorded(self, item: Item, held: Cut | AnswerStream) -> Verdict:
        """A stream of which nothing is given is not left open. Raises Unavailable."""
        verdict: Verdict | None = None
        try:
            verdict = await self.writer.commit(item)
            return verdict
        finally:
            if isinstance(held, AnswerStream) and verdict is not Verdict.WRITTEN:
                await held.answer.abort()

    async def _not_recorded(
        self, call: DataCall, admission: Admission, judged: Judged, permit: Permit, item: Item
    ) -> Done:
        """What was fetched is forgotten: it was judged by terms that are not there any more."""
        if item.verdict is Verdict.CHANGED:
            return "again"
        if item.verdict is Verdict.REPLAYED:  # another process knows the proof
            return await self._challenged(call, "invalid_dpop_proof", dpop=True)
        count = admission.used_up(permit, item.used_up)
        return await self._refused(call, judged, admit.exhausted(count, call.now))

    async def _stream(
        self, call: DataCall, token: Token, judged: Judged, permit: Permit, stream: AnswerStream, item: Item
    ) -> None:
        """The entry, `item`, is on the disk before, the outcome after."""
        stream.headers = headers.answer(stream.media_type, None, call.id, *stream.ahead)
        stream.head_only = call.scope["method"] == "HEAD"

        try:
            await stream.carry(call.receive, call.send, partial(self._still, permit, token))
        finally:
            facts = {**item.event.facts, **told(stream.counts, stream.sent), "outcome": stream.outcome}
            ended = Event("access_outcome", judged.person, self._house.clock(), "system", facts)
            await asyncio.shield(self.writer.commit(Item(ended, closes=call.id)))
        if not stream.started:
            if stream.fault is not None:
                raise stream.fault
            await self._refused(call, judged, Refusal(stream.reason))

    async def _still(self, permit: Permit, token: Token) -> bool:
        admission = self._admission
        return admission is not None and await admission.still(permit, token, self._house.clock())

    # ---- refusals

    async def _refused(self, call: DataCall, judged: Judged, refusal: Refusal, status: int | None = None) -> Done:
        """In the person's log first, then to the app."""
        status = status or refusal.status
        await self._denials.record(judged, refusal, call.now, call.id, status)
        call.scope["aval.refused"] = refusal.reason  # for the metrics
        again = await self._to_come_again(call, refusal)
        its_own = call.token is not None and not call.token.acting  # what the app lacks is told to nobody else
        ask = refuse.requestable(judged, refusal) if its_own else None
        await refuse.refused(call.send, refusal, call.id, status, again, ask)
        return "answered"

    async def _to_come_again(self, call: DataCall, refusal: Refusal) -> Headers:
        """With which token the app may come again, where another one helps (RFC 6750 §3.1, RFC 9470 §3)."""
        said, token = refusal.challenge, call.token
        if token is not None and is_plain(token.scope) and may_help(refusal):
            scope = await self._scopes.beside(token.scope, call.organisation, call.asked.path)
            said = {"error": "insufficient_scope", "scope": scope} if scope else said
        if not said:
            return []
        dpop = token is not None and token.key is not None
        return [refuse.authenticate(f"/data/{call.organisation}", self._settings.public_url, said, dpop=dpop)]


async def _release(call: DataCall, cut: Cut) -> None:
    """The first byte, and all of them. The answer to HEAD is the same without its body."""
    fields = headers.answer(cut.media_type, len(cut.body), call.id, cut.following, cut.notice)
    await call.send({"type": "http.response.start", "status": 200, "headers": fields})
    await call.send({"type": "http.response.body", "body": cut.body if call.scope["method"] == "GET" else b""})


def told(counts: Counts, size: int) -> dict[str, Any]:
    """Counts and instants, never values."""
    facts: dict[str, Any] = {
        "records": counts.records,
        "records_withheld": counts.records_withheld,
        "values_withheld": counts.fields_withheld,
        "bytes": size,
    }
    if counts.start is not None and counts.end is not None:
        facts |= {"period_from": instant(counts.start), "period_to": instant(counts.end)}
    return facts
