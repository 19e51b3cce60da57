"""Websites as receivers of Shared Signals: each has a token of its own, a stream, and reads what it is sent."""

import json
from pathlib import Path
from typing import Any

import jwt
from sqlmodel import select

from gateway.apps import verbs
from gateway.log import Event
from tests.callers import TestClient
from tests.tokens import claims
from tests.worlds import websites
from tests.worlds.websites import HOME

MANAGE, READ = "ssf.manage", "ssf.read"
PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
ENDED, CHANGED = "urn:aval:event:consent-ended", "urn:aval:event:consent-changed"
PAUSED, RESUMED = "urn:aval:event:consent-paused", "urn:aval:event:consent-resumed"
TOKENS_ENDED = "urn:aval:event:tokens-ended"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
SESSION, CREDENTIAL = f"{CAEP}session-revoked", f"{CAEP}credential-change"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
VERIFICATION, UPDATED = f"{SSF}verification", f"{SSF}stream-updated"
ALL = [ENDED, CHANGED, PAUSED, RESUMED, TOKENS_ENDED, SESSION, CREDENTIAL]
GRANTS = ["authorization_code", "refresh_token", "client_credentials"]


class World(websites.World):
    """Two websites, and what each has a right to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for name in ("shop", "rival"):
            self.register(name, grant_types=GRANTS)
        self.shop, self.rival = Receiver(self, "shop"), Receiver(self, "rival")

    def stops(self, person: websites.Browser, consent: str, act: str = "stop") -> None:
        page = person.get(f"/sharings/{consent}" + ("/stop" if act == "stop" else ""))
        answer = person.submit(page, f"/sharings/{consent}/{act}")
        assert answer.status_code == 303, answer.text[:400]

    def shares(self, person: str, app: str = "shop") -> tuple[websites.Browser, str]:
        """She signs in to the website with her account here: her browser, and what she agreed to."""
        browser, consent, _ = self.signs_in(person, app)
        return browser, consent

    def signs_in(self, person: str, app: str = "shop") -> tuple[websites.Browser, str, str]:
        """… and the `sub` by which the website knows her."""
        browser = self.browser(person=person)
        body = browser.tokens(app)
        return browser, body["grant_id"], claims(body["id_token"])["sub"]

    def rows(self, table: type[Any]) -> list[Any]:
        with self.house.store.read() as session:
            found = session.exec(select(table)).all()
            session.expunge_all()
        return list(found)

    def records(self, person: str, kind: str) -> None:
        """What a verb that changes her account would write down."""
        with self.house.store.write() as session:
            self.house.log.record(session, Event(kind, self.people[person], self.clock.now))

    def suspends(self, app: str) -> None:
        with self.house.store.write() as session:
            verbs.suspend(session, app, "a reason", self.clock.now)

    def resumes(self, app: str) -> None:
        with self.house.store.write() as session:
            verbs.resume(session, app, self.clock.now)

    def settle(self) -> None:
        """All that is due now is told before this returns."""
        for _ in range(3):
            self.application.notices.send_due()
            websites.until(lambda: not self.application.notices._busy)


class Receiver:
    """The server of one website."""

    def __init__(self, world: World, app: str) -> None:
        self.world, self.app = world, app
        self.http = TestClient(world.application, base_url=HOME, follow_redirects=False)

    def token(self, scope: str = f"{MANAGE} {READ}") -> str:
        answer = self.world.post("/token", self.app, grant_type="client_credentials", scope=scope)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def calls(self, method: str, path: str, body: Any = None, *, token: str | None = None, **query: str) -> Any:
        shown = self.token() if token is None else token
        headers = {"authorization": f"Bearer {shown}"} if shown else {}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = body if isinstance(body, str) else json.dumps(body)
        return self.http.request(method, path, params=query or None, content=content, headers=headers)

    def opens(self, **members: Any) -> str:
        """A stream of its own, polled unless said otherwise. Its id."""
        answer = self.calls("POST", "/ssf/streams", {"events_requested": ALL, **members})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["stream_id"])

    def sets(self, stream: str, status: str) -> None:
        answer = self.calls("POST", "/ssf/status", {"stream_id": stream, "status": status})
        assert answer.status_code == 200, answer.text

    def status(self, stream: str) -> str:
        return str(self.calls("GET", "/ssf/status", stream_id=stream).json()["status"])

    def polls(self, stream: str, **members: Any) -> dict[str, str]:
        answer = self.calls("POST", f"/ssf/poll/{stream}", members)
        assert answer.status_code == 200, answer.text
        found: dict[str, str] = answer.json()["sets"]
        return found

    def reads(self, set_: str) -> dict[str, Any]:
        """What an event says, verified as its receiver would."""
        keys = {one["kid"]: one for one in self.http.get("/jwks.json").json()["keys"]}
        head = jwt.get_unverified_header(set_)
        assert head["typ"] == "secevent+jwt" and head["alg"] in ("ES256", "PS256", "RS256", "EdDSA")
        key = jwt.PyJWK(keys[head["kid"]])
        said: dict[str, Any] = jwt.decode(
            set_, key, [head["alg"]], {"verify_iat": False}, audience=self.app, issuer=HOME
        )
        return said

    def hears(self, stream: str) -> list[tuple[str, dict[str, Any]]]:
        """(type, what it says) of all that waits, which is acknowledged."""
        sets = self.polls(stream)
        said = [self.reads(one) for one in sets.values()]
        self.polls(stream, ack=list(sets), maxEvents=0)
        return [next(iter(one["events"].items())) for one in said]
