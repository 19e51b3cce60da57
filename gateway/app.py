"""The composition root: the only file that knows every room.

uvicorn → Guarded (refuses ambiguous or forged requests)
        → /data/… : the data plane, raw ASGI; its calls are recorded in people's access logs
        → plain calls of servers, /token and /introspect : raw ASGI; what is out of the ordinary goes on to the doors
        → everything else : request id and log line → doors, run in worker threads
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import cast

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import __version__, errors, retention
from gateway.apps import pages as app_pages
from gateway.apps import signing, statements
from gateway.apps.certificates import RegisteredCertificates
from gateway.authorization import api as authorization_api
from gateway.authorization import (
    asked,
    devices,
    endpoints,
    families,
    families_ending,
    logout,
    logout_pages,
    registering,
    smart,
    unclaimed,
)
from gateway.authorization import pages as authorization_pages
from gateway.authorization.plain_calls import PlainCalls
from gateway.authorization.protocol import Protocol
from gateway.authorization.server import BACKCHANNEL, CLIENT, CODE, DEFERRED, DEVICE, EXCHANGE, REFRESH
from gateway.catalogue import Catalogue
from gateway.consent import expiry, meanwhile
from gateway.formats.registry import checked
from gateway.ground.http import tls
from gateway.ground.http.guard import Guarded
from gateway.ground.http.transport import Transport
from gateway.ground.keys import KeyRing
from gateway.ground.ops import health
from gateway.ground.ops.interactions import Interactions
from gateway.ground.ops.logs import logger
from gateway.ground.ops.metrics import Measured, Metrics, Sample
from gateway.ground.ops.requests import Requests
from gateway.ground.pools import Pools
from gateway.ground.store import Store, migrate, open_store, pruning, signing_keys
from gateway.ground.store.tables import directory_generation
from gateway.ground.store.threads import Trouble
from gateway.ground.store.together import Together
from gateway.ground.web import documents, problems
from gateway.ground.web.doors import Direct, Door, otherwise, route
from gateway.ground.web.templates import STATIC
from gateway.ground.web.translations import Translations
from gateway.house import House
from gateway.log import Log, readiness
from gateway.log import pages as log_pages
from gateway.log.sequencer import Beat, Sequencer
from gateway.notices.sending import Kinds, NoticeBox, Sender
from gateway.organisations import linking, links
from gateway.organisations import pages as organisation_pages
from gateway.organisations.folders import LOOK_SECONDS as FOLDER_SECONDS
from gateway.organisations.folders import Folders
from gateway.organisations.telling import tell_pending
from gateway.organisations.undeclared import WRITE_SECONDS, Undeclareds
from gateway.people import pages as people_pages
from gateway.people.sign_in_pages import leave
from gateway.people.sign_ins import identify
from gateway.policy import Policies
from gateway.proxy.call import DataPlane
from gateway.rereading import LOOK_SECONDS, Rereading
from gateway.rooms import Rooms
from gateway.screen import pages as screen_pages
from gateway.settings import Settings
from gateway.sharings import pages as sharing_pages
from gateway.signals import api as signal_api
from gateway.signals import hearing, streams
from gateway.signals.pushing import Pushes

TELL_SECONDS = 30  # how often to try again to tell organisations of ended links
NOTICE_SECONDS = 2  # how often to begin to tell apps what is due
# How often to record the consents whose end date has passed or that no app came for, and to stop streams of events from
# which no app takes.
ENDINGS_SECONDS = 600
PRUNE_SECONDS = 30  # how often to delete expired rows
CERTIFICATES_SECONDS = 1  # how often to see whether apps have registered other certificates
MONTHS_SECONDS = 3600  # how often to see whether the months to come are ready in the database
RECOVER_SECONDS = 10  # how often to look for streams whose process has ended
KEYS_SECONDS = 10  # how often to see whether token keys come, sign or go by the calendar, or an emergency is not over
SOON_SECONDS = 0.05  # pause before the next part of such work, in which others can write

# What the authorization server offers. Doors, grants and metadata follow from it.
PROTOCOL = Protocol(
    endpoints=(
        endpoints.AUTHORIZE,
        *endpoints.STEPPED,
        endpoints.END_SESSION,
        endpoints.JWKS,
    ),
    grants=(CODE, REFRESH, DEVICE, BACKCHANNEL, DEFERRED, CLIENT, EXCHANGE),
)


def build_house(
    settings: Settings, *, create_keys: bool = False, keys_of: Callable[[Store], KeyRing] | None = None
) -> House:
    """Make everything a room may need, from the settings. Raises the error of the first part that cannot be used.

    `keys_of`: reads the keys that belong to what is stored. It may make some, and so comes last.
    """
    if not settings.database_url:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    statements.trusted(settings.software_statements_file)
    catalogue, policies = checked(Catalogue(settings.policies)), Policies(settings.policies)
    store = open_store(settings)
    if keys_of is None:
        keys_of = partial(_keys, settings, create_keys)
    with contextlib.ExitStack() as failed:
        failed.callback(store.close)
        keys = keys_of(store)
        failed.pop_all()
    pools = Pools()
    return House(
        settings=settings,
        store=store,
        keys=keys,
        log=Log(keys, settings.mark, hearing.HEARS),
        catalogue=catalogue,
        policies=policies,
        connector=Transport(settings, pools),
        translations=Translations(),
        pools=pools,
        undeclared=Undeclareds(),
    )


def _keys(settings: Settings, create: bool, store: Store) -> KeyRing:
    ring = KeyRing.of(settings, create=create)
    if migrate.current(settings) is not None:
        signing_keys.begin(store, ring, datetime.now(UTC), make=create)
    return ring


def watched(house: House) -> None:
    """Add the rooms' own checks to `/readyz`."""
    for check in readiness.checks(house):
        health.watch(house, log=check)
    health.watch(house, policies=lambda: "" if house.latest.catalogue.purposes else "none are loaded")


def doors(house: House) -> list[Door]:
    rooms = Rooms(house)
    return [
        *health.DOORS,
        *problems.DOORS,
        *documents.DOORS,
        *people_pages.doors(links.count, rooms.sign_ins_ended),
        *app_pages.DOORS,
        *organisation_pages.doors(rooms.waiting),
        *authorization_api.doors(PROTOCOL, rooms),
        *devices.DOORS,
        *registering.doors(PROTOCOL),
        *asked.doors(rooms),
        *authorization_pages.doors(PROTOCOL, rooms, partial(screen_pages.screen, rooms)),
        *logout_pages.doors(partial(leave, rooms.sign_ins_ended)),
        *screen_pages.doors(rooms, rooms.decided),
        *sharing_pages.doors(rooms),
        *log_pages.doors(rooms),
        *signal_api.DOORS,
    ]


def notices(house: House) -> Kinds:
    """What apps are told, each kind by its own room."""
    return {logout.KIND: logout.kind(house.keys, house.settings.public_url), **asked.kinds(house.keys)}


def redo(house: House) -> None:
    """What was ended on a frozen log is done again where its database is gone, each by its own room."""
    again: dict[str, meanwhile.Again] = {
        "consent": expiry.redo,
        "family": families.redo,
        "link": partial(linking.redo, house.settings),
    }
    meanwhile.redo(house.store, house.log, again, house.clock())


class Application:
    """The ASGI application of one house. `metrics`: what is measured of it; None: nothing is."""

    def __init__(self, house: House, metrics: Metrics | None = None) -> None:
        self.house = house
        watched(house)
        self.sequencer = Sequencer(house, partial(redo, house), partial(self._sample, metrics) if metrics else None)
        self.data_plane = DataPlane(house)
        self.rereading = Rereading(house)
        self.folders = Folders(house)
        self.notices = Sender(house, (NoticeBox(notices(house)), Pushes(house)))
        health.watch_lesser(house, policies=self.rereading.policies.fault, keys=self.rereading.key_fault)
        self.together = Together(house.store, __version__, self._counted)
        self.certificates = RegisteredCertificates(house)
        self._needed_at = -1  # generation of the directory whose apps' algorithms have their keys
        self.registered = tls.Registered(lambda: self.certificates.generation, self.certificates.all)
        self._loop: asyncio.AbstractEventLoop | None = None
        routes = [route(door, house, identify) for door in doors(house)]
        unrouted = otherwise(house, identify)
        self._pages = Starlette(
            routes=[Direct(routes), *routes, Mount("/static", _Static(directory=STATIC))],
            exception_handlers={404: unrouted, 405: unrouted, Exception: unrouted},
            lifespan=self._lifespan,
        )
        # One address, one spelling. Starlette would send a form on with its secrets (307), behind TLS to plain http.
        self._pages.router.redirect_slashes = False
        self._doors: ASGIApp = Requests(self._pages)
        self._plain_calls = PlainCalls(house, self._doors, {route.path: route.endpoint for route in routes})
        called = ["/data", registering.PATH, *(one.address for one in PROTOCOL.endpoints if one.steps)]
        self._app: ASGIApp = Guarded(Interactions(self._dispatch, called), house.settings)
        if metrics is not None:
            self._app = Measured(self._app, metrics, {route.endpoint: route.path for route in routes})
            house.store.told = metrics.failed
            cast(Transport, house.connector).told = metrics.waited
            if house.undeclared is not None:
                house.undeclared.told = metrics.undeclared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path: str = scope["path"]
        if path.startswith("/data/") and not path.endswith(smart.CONFIGURATION):
            return self.data_plane(scope, receive, send)
        door = self._plain_calls if self._plain_calls.takes(path) else self._doors
        return door(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        transport = cast(Transport, self.house.connector)
        transport.start(self._loop)
        self.together.start()
        self.sequencer.start()
        await self.data_plane.start()
        self._plain_calls.start()
        await self._recover()
        recovering = asyncio.ensure_future(self._recovering())
        health.watch(self.house, log=self.sequencer.fault, data=self.data_plane.fault)
        try:
            with (
                _repeating(self._led(self._tell), TELL_SECONDS),
                _repeating(self._led(self._send_notices), NOTICE_SECONDS),
                _repeating(self._led(self._write_endings), ENDINGS_SECONDS),
                _repeating(self._led(self._prune), PRUNE_SECONDS),
                _repeating(self._led(self._prepare_months), MONTHS_SECONDS),
                _repeating(self.rereading.look, LOOK_SECONDS),
                _repeating(self.certificates.look, CERTIFICATES_SECONDS),
                self.rereading.watching_keys(),
                _repeating(self.rereading.look_at_token_keys, signing_keys.LOOK_SECONDS),
                _repeating(self._led(self._keep_keys), KEYS_SECONDS),
                _repeating(self._led(self._make_needed_keys), CERTIFICATES_SECONDS),
                _repeating(self._write_undeclared, WRITE_SECONDS),
                _repeating(self._led(self.folders.look), FOLDER_SECONDS),
            ):
                yield
            self._write_undeclared()
        finally:
            recovering.cancel()
            await asyncio.gather(recovering, return_exceptions=True)
            await self.data_plane.stop()
            self._plain_calls.stop()
            self.sequencer.stop()
            self.together.stop()
            await transport.close()
            self.house.pools.close()

    def _sample(self, metrics: Metrics, beat: Beat) -> None:
        """Once a second, in the thread of the log's beats: what a scrape tells is known by then."""
        metrics.sampled(
            Sample(
                leads_log=beat.leads,
                leads_common=self.together.leads,
                processes=self.together.count,
                frozen=bool(self.sequencer.frozen),
                connections=self.house.store.connections(),
                waiting=beat.waiting,
                beat=beat.whole.timestamp() if beat.whole else None,
                checkpoint=beat.signed.timestamp() if beat.signed else None,
                degraded=health.degraded(self.house),
            )
        )

    # ---- what other processes are told, and tell

    def _counted(self, processes: int) -> None:
        """Limits that protect capacity alone are divided among the processes."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: no call comes any more
                self._loop.call_soon_threadsafe(self._share, processes)

    def _share(self, processes: int) -> None:
        self.data_plane.share(processes)
        cast(Transport, self.house.connector).share(processes)

    async def _recovering(self) -> None:
        while not self.house.store.alone:  # else every stream is of this process
            await asyncio.sleep(RECOVER_SECONDS)
            try:
                await self._recover()
            except errors.GatewayError as error:
                logger().warning("streams of ended processes stay open", detail=error.detail)
            except Exception:
                logger().exception("streams of ended processes stay open")

    async def _recover(self) -> None:
        """Write the outcome of streams whose process has ended. At its start a process cannot know which of the others
        live, unless it is alone."""
        if self.together.leads and self.together.sure:
            await self.data_plane.recover(self.together.living)

    # ---- repeated work, in one process for all. Each function returns whether there is more to do at once.

    def _led(self, work: Callable[[], bool]) -> Callable[[], bool]:
        @wraps(work)
        def led() -> bool:
            return self.together.leads and work()

        return led

    def _tell(self) -> bool:
        tell_pending(self.house, self.house.clock())
        return False

    def _send_notices(self) -> bool:
        self.notices.send_due()
        return False

    def _write_endings(self) -> bool:
        now = self.house.clock()
        streams.look_after(self.house.store, now)
        more = expiry.write_due(self.house, now) == expiry.AT_ONCE
        return unclaimed.end_due(self.house, now) == unclaimed.AT_ONCE or more

    def _write_undeclared(self) -> bool:
        if self.house.undeclared is not None:
            self.house.undeclared.write(self.house.store)
        return False

    def _keep_keys(self) -> bool:
        now, using = self.house.clock(), self.house.settings
        with self.house.store.read() as session:
            is_due = signing_keys.is_due(session, using.key_rotation_days, now)
        if is_due:
            self._turn_keys(now, timedelta(seconds=using.key_settle_seconds))
        return families_ending.go_on(self.house, now)

    def _make_needed_keys(self) -> bool:
        """Where an app was registered or changed: a key for each algorithm by which something is signed for it."""
        with self.house.store.read() as session:
            generation = directory_generation(session)
        if generation != self._needed_at:
            signing.make_missing(self.house, self.house.clock())
            self._needed_at = generation
        return False

    def _turn_keys(self, now: datetime, settle: timedelta) -> None:
        days = self.house.settings.key_rotation_days
        with self.house.store.write() as session:
            for made in signing_keys.scheduled(session, self.house.keys, days, now, settle):
                logger().info(
                    "the next key",
                    algorithm=made.algorithm,
                    kid=signing_keys.short(made.key),
                    signs=made.signs_from.isoformat(),
                )
            for kid in signing_keys.retire(session, now):
                logger().info("a key signs no more", kid=signing_keys.short(kid))

    def _prune(self) -> bool:
        return pruning.prune(self.house.store, retention.LEAVING, self.house.clock())

    def _prepare_months(self) -> bool:
        self.house.store.prepare_months(self.house.clock().date())
        return False


class _Static(StaticFiles):
    """Our own files. Browsers ask each time whether they have changed, so that no old stylesheet is used."""

    def file_response(self, *given: object, **more: object) -> Response:
        response = super().file_response(*given, **more)  # type: ignore[arg-type]
        response.headers.update({"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})
        return response


@contextlib.contextmanager
def _repeating(work: Callable[[], bool], seconds: float) -> Iterator[None]:
    """Run `work` every `seconds`, and again soon while it returns that there is more to do."""
    stopped = threading.Event()

    def run() -> None:
        more, name = False, f"repeated work ({work.__qualname__})"
        trouble = Trouble(logging.getLogger("aval"), f"{name} failed", f"{name} succeeds again")
        while not stopped.wait(SOON_SECONDS if more else seconds):
            more = False
            try:
                more = work()
            except errors.GatewayError as error:
                trouble.failed(error.detail)
            except Exception as error:  # go on repeating after any fault
                trouble.failed(type(error).__name__, error)
            else:
                trouble.well()

    thread = threading.Thread(target=run, daemon=True, name="repeating")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(5)
