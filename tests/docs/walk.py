"""The walk of an app's developer who has read README.md and gateway/docs, against a running `make demo`: what stumbled
here once goes as the documents say. `test_walk.py` takes it.

    . .venv/bin/activate
    export AVAL_DATA_DIR=$PWD/.demo/gateway AVAL_PUBLIC_URL=http://localhost:8400   # the line the demo prints
    python tests/docs/walk.py

Prints each step and what came of it. Ends 1 when a step went otherwise than the documents say.
May be run again: apps are registered anew, Alice's link stays, every agreement made here is ended here.
"""

import base64
import hashlib
import html
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2 as httpx  # `make venv` brings httpx2; there is no httpx in it
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey

GATEWAY = os.environ.get("AVAL_PUBLIC_URL", "")
BACK = "http://localhost:8499/callback"
FEED = "/espi/1_1/resource/Batch/Subscription/mine"
PASSWORD = "correct horse battery"
NUMBERS = {"alice": 1, "bob": 2, "germaine": 3, "chloe": 4}
FOLDER = Path(tempfile.mkdtemp(prefix="walk-"))
failed = []


def step(title):
    print(f"\n## {title}", flush=True)


def came(what, good=True):
    print(f"   {'ok ' if good else 'NOT'} {what}", flush=True)
    if not good:
        failed.append(what)
    return good


# --- a person with a browser ------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Forms, links and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.links, self.words, self._form, self._button, self._silent = [], [], [], None, None, 0
        self.feed(text)
        self.text = " ".join(self.words)

    def handle_starttag(self, tag, attrs):
        a = {k: v or "" for k, v in attrs}
        self._silent += tag in ("script", "style")
        if tag == "form":
            self._form = {"action": a.get("action", ""), "method": a.get("method", "get"), "fields": []}
            self.forms.append(self._form)
        elif tag in ("input", "button", "textarea", "select") and self._form is not None:
            field = {"tag": tag, "label": "", **a}
            self._form["fields"].append(field)
            self._button = field if tag == "button" else None
        elif tag == "a":
            self.links.append([a.get("href", ""), ""])

    def handle_endtag(self, tag):
        self._silent -= tag in ("script", "style")
        if tag == "form":
            self._form = None
        if tag == "button":
            self._button = None

    def handle_data(self, data):
        if self._silent or not data.strip():
            return
        self.words.append(data.strip())
        if self._button is not None:
            self._button["label"] += data.strip()
        if self.links and not self.links[-1][1]:
            self.links[-1][1] = data.strip()

    def form(self, part):
        return next((f for f in self.forms if part in f["action"]), None)


class Person:
    """Opens addresses, signs in, links, agrees; stops where the browser would leave for the app.

    The gateway's cookies are Secure. Browsers send those to http://localhost, Python's cookie jar does not: kept by hand."""  # noqa: E501

    def __init__(self, name):
        self.name, self.cookies, self.left, self.url, self.seen = name, {}, None, "", []
        self.http = httpx.Client(timeout=60, trust_env=False)

    def call(self, method, url, **more):
        jar = self.cookies.setdefault(urlsplit(url).netloc, {})
        headers = {**more.pop("headers", {}), "Accept-Language": "en"}
        if jar:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in jar.items())
        self.http.cookies.clear()
        answer = self.http.request(method, url, headers=headers, **more)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            jar[name] = value
            if "max-age=0" in line.lower():
                del jar[name]
        return answer

    def follow(self, answer):
        self.left = None
        for _ in range(20):
            self.url = str(answer.request.url)
            to = answer.headers.get("location")
            refresh = re.search(r'http-equiv="refresh" content="\d+;\s*url=([^"]+)"', answer.text)
            to = to or (html.unescape(refresh.group(1)) if refresh else None)
            if not to:
                break
            to = urljoin(self.url, to)
            if to.startswith("http://localhost:8499/"):
                self.left = to
                break
            answer = self.call("GET", to)
        self.answer, self.page = answer, Page(answer.text)
        return self.page

    def open(self, url):
        return self.follow(self.call("GET", urljoin(GATEWAY, url)))

    def submit(self, form, button=None, **fill):
        data = []
        for field in form["fields"]:
            name, value = field.get("name"), field.get("value", "")
            if not name or field["tag"] == "button":
                continue
            if field.get("type") in ("checkbox", "radio"):
                wanted = fill.get(name)
                if ("checked" in field) if wanted is None else (value in wanted):
                    data.append((name, value))
            else:
                data.append((name, fill.get(name, value)))
        grouped = {}
        for name, value in data + ([button] if button else []):
            grouped.setdefault(name, []).append(value)
        where = urlsplit(self.url)
        headers = {"Origin": f"{where.scheme}://{where.netloc}", "Referer": self.url}
        target = urljoin(self.url, form["action"]) if form["action"] else self.url
        return self.follow(self.call("POST", target, data=grouped, headers=headers))

    def go(self, url, decision="allow", duration="d30", accounts=1, link=True, tick=()):
        """Opens the address and does all that is asked, until the browser leaves for the app. True if it did."""
        self.open(url)
        return self.on(decision, duration, accounts, link, tick)

    def on(self, decision="allow", duration="d30", accounts=1, link=True, tick=()):
        for _ in range(12):
            page, self.did = self.page, ""
            self.seen.append(page.words[0] if page.words else "")
            if self.left:
                return True
            consent, sign_in = page.form("/consent/"), page.form("/sign-in?") or page.form("/sign-in")
            to_link = next((h for h, t in page.links if "/link" in h and h.startswith("/organisations/")), None)
            if urlsplit(self.url).path == "/sign-in" and sign_in:
                self.submit(sign_in, email=f"{self.name}@example.org", password=PASSWORD)
            elif page.form("/oauth/sign-in"):
                number = f"CE-100{NUMBERS[self.name]}"
                self.submit(page.form("/oauth/sign-in"), customer_number=number, password=PASSWORD)
            elif page.form("/oauth/approve"):
                self.submit(page.form("/oauth/approve"), ("decision", "yes"))
            elif page.form("/link") and urlsplit(self.url).path.endswith("/link"):
                self.submit(page.form("/link"))
            elif to_link and consent and not any(f.get("value") == "allow" for f in consent["fields"]):
                if not link:
                    return False
                self.open(to_link)
            elif page.form("/authorize/later") and decision == "later":
                self.submit(page.form("/authorize/later"))
            elif page.form("/authorize/continue") and decision != "refuse":
                self.submit(page.form("/authorize/continue"))
            elif consent:
                choice = {}
                for field in consent["fields"]:
                    if field.get("type") == "checkbox" and field["name"].startswith("accounts:"):
                        chosen = choice.setdefault(field["name"], [])
                        if len(chosen) < accounts:
                            chosen.append(field["value"])
                    if field.get("type") == "radio" and field["name"] == "duration" and field["value"] == duration:
                        choice["duration"] = [duration]
                    if field.get("name") in tick or (tick == "all" and field.get("name", "").startswith("item:")):
                        choice[field["name"]] = [field["value"]]
                values = [f.get("value") for f in consent["fields"] if f.get("name") == "decision"]
                said = decision if decision in values else "allow" if "allow" in values else values[-1]
                self.submit(consent, ("decision", said), **choice)
                self.did = said
                if self.answer.status_code == 422:
                    return False
            else:
                return False
        return False

    def answered(self):
        return dict(parse_qsl(urlsplit(self.left or "").query))


# --- an app -----------------------------------------------------------------------------------------------------------

DECLARATION = """client_id = "{id}"
name = {{ fr = "Marche {id}", en = "Walk {id}" }}
legal_entity = "Walk Company"
website = "https://walk.example"
privacy_policy = "https://walk.example/privacy"
terms = "https://walk.example/terms"
deletion_contact = "delete@walk.example"
"""
DATA = """
[[data]]
organisation = "city-energy"
dataset = "energy.electricity.usage"
fields = ["interval.start", "interval.value"]
necessity = "required"
reason = { fr = "Pour voir quand vous consommez.", en = "To see when you use electricity." }
"""


def aval(*words, **variables):
    """The command, as in a second terminal; (exit code, what it said)."""
    environment = {k: v for k, v in {**os.environ, **variables}.items() if v is not None}
    done = subprocess.run(["aval", *words], capture_output=True, text=True, env=environment, cwd=FOLDER, timeout=120)
    return done.returncode, (done.stdout + done.stderr).strip()


def declare(client_id, *lines, data=DATA, name=None):
    file = FOLDER / f"{name or client_id}.toml"
    keys = [f'redirect_uris = ["{BACK}"]'] if not any(x.startswith("redirect_uris") for x in lines) else []
    file.write_text(DECLARATION.format(id=client_id) + "\n".join([*keys, *lines]) + "\n" + data)
    return file.name


def add(client_id, *lines, data=DATA):
    """Registers; the secret, if there is one."""
    code, said = aval("apps", "add", declare(client_id, *lines, data=data))
    if code:
        raise SystemExit(f"apps add {client_id}: {said}")
    if "client_secret" in "".join(lines):
        _, said = aval("apps", "renew-secret", client_id)
        return said.split("client_secret: ")[1].split()[0]
    return None


def details(**more):
    one = {
        "type": "data_access",
        "locations": [f"{GATEWAY}/data/city-energy"],
        "datatypes": ["energy.electricity.usage"],
        "actions": ["read"],
        "purpose": "energy-advice",
        "period": {"history": "P12M", "future": True},
        "frequency": {"times": 24, "per": "day"},
        "valid_for": "P6M",
        "retention": "P1M",
    }
    one.update(more)
    return [{k: v for k, v in one.items() if v is not None}]


def short(answer):
    return f"{answer.status_code} {answer.text[:230]}"


class App:
    """Authlib's client, with the one POST that it lacks."""

    def __init__(self, client_id, secret=None, key=None, method="none", audience=None):
        self.id, self.method = client_id, method
        self.client = OAuth2Client(
            client_id,
            key or secret,
            redirect_uri=BACK,
            code_challenge_method="S256",
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
        )
        self.server = self.get("/.well-known/oauth-authorization-server").json()
        if key:
            self.sign_for(audience or self.server["issuer"])

    def sign_for(self, audience):
        self.client.register_client_auth_method(PrivateKeyJWT(audience, alg="ES256", headers={"kid": "walk"}))

    def get(self, path):
        return self.client.request("GET", f"{GATEWAY}{path}", withhold_token=True)

    def post(self, where, data, **more):
        auth = self.client.client_auth(self.method)
        return self.client.request("POST", self.server.get(where, where), data=data, auth=auth, **more)

    def push(self, asked=None, **more):
        self.verifier = secrets.token_urlsafe(48)
        if asked is not None:
            more["authorization_details"] = json.dumps(asked)
        address, self.state = self.client.create_authorization_url(
            self.server["authorization_endpoint"], code_verifier=self.verifier, **more
        )
        form = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
        if self.method != "client_secret_basic":
            del form["client_id"]  # Authlib's client authentication adds it, that of `none` too
        return self.post("pushed_authorization_request_endpoint", form)

    def address(self, pushed):
        query = urlencode({"client_id": self.id, "request_uri": pushed.json()["request_uri"]})
        return f"{self.server['authorization_endpoint']}?{query}"

    def fetch(self, back, **more):
        return self.client.fetch_token(
            self.server["token_endpoint"],
            authorization_response=back,
            state=self.state,
            code_verifier=self.verifier,
            **more,
        )

    def connect(self, person, asked=None, choose=None, **more):
        """All of it: push, person, code, token."""
        pushed = self.push(asked if asked is not None else details(), **more)
        if pushed.status_code != 201:
            raise SystemExit(f"{self.id}: PAR {short(pushed)}")
        if not person.go(self.address(pushed), **(choose or {})):
            raise SystemExit(f"{self.id}: the person is stuck at {person.url}: {person.page.text[:600]}")
        return self.fetch(person.left)

    def read(self, path=FEED, organisation="city-energy"):
        return self.client.get(f"{GATEWAY}/data/{organisation}{path}")

    def give_back(self, token):
        return self.client.revoke_token(self.server["revocation_endpoint"], token=token["refresh_token"])


def stop_all(person):
    """She ends everything that she shares, so that the walk can be walked again."""
    page = person.open("/sharings/stop-all")
    if urlsplit(person.url).path.startswith("/sign-in"):
        page = person.submit(page.form("/sign-in"), email=f"{person.name}@example.org", password=PASSWORD)
    form = page.form("/sharings/stop-all")
    if form:
        person.submit(
            form,
            next(
                ((f["name"], f.get("value", "")) for f in form["fields"] if f["tag"] == "button" and f.get("name")),
                None,
            ),
        )


# --- the walk ---------------------------------------------------------------------------------------------------------


def walk_commands():
    step("apps add beside `make demo`: which variables?")
    file = declare("walk-app", 'token_endpoint_auth_method = "none"', 'purposes = ["energy-advice"]')
    code, said = aval("apps", "add", file, AVAL_DATA_DIR=None, AVAL_PUBLIC_URL=None)
    came(f"with none: {code}: {said}", code == 2)
    code, said = aval("apps", "add", file, AVAL_PUBLIC_URL=None)
    came(f"AVAL_DATA_DIR alone: {code}: {said}", code == 0)
    code, said = aval("apps", "add", file)
    came(f"both: {code}: {said}", code == 0)


def walk_logo():
    step("a declaration of one's own, with a logo that is missing")
    kept = ('token_endpoint_auth_method = "none"', 'purposes = ["energy-advice"]')
    code, said = aval("apps", "add", declare("walk-logo", *kept, 'logo = "missing.svg"'))
    came(f"{code}: {said}", code == 1 and "logo" in said)
    code, said = aval("apps", "add", declare("walk-logo", *kept))
    came(f"without the key: {code}: {said}", code == 0)


def walk_code(alice):
    step("PAR, code and PKCE with Authlib")
    app = App("walk-app")
    pushed = app.push(details())
    came(f"PAR: {short(pushed)}", pushed.status_code == 201)
    alice.seen = []
    left = alice.go(app.address(pushed))
    came(f"she: {' > '.join(alice.seen)}", left)
    back = alice.answered()
    came(
        f"state and iss are ours: {back.get('iss')}",
        (back.get("state"), back.get("iss")) == (app.state, app.server["issuer"]),
    )
    token = app.fetch(alice.left)
    granted = token["authorization_details"][0]
    came(
        f"granted {granted['fields']} of {len(granted['accounts'])} account; expires_in {token['expires_in']}; grant_id {token['grant_id'][:6]}…"  # noqa: E501
    )
    came(f"all members of the answer: {sorted(token)}")
    step("reading data: which path?")
    code, said = aval("organisations", "show", "city-energy")
    first = [line.split()[2] for line in said.splitlines()[1:] if line.split()[1] == "first"]
    came(f"aval organisations show city-energy: first is {first[0]}", bool(first) and first[0].endswith(FEED))
    answer = app.read()
    came(
        f"{answer.status_code} {answer.headers['content-type']}, {len(answer.content)} bytes", answer.status_code == 200
    )
    for what, path in (
        ("another type of data", "/espi/1_1/resource/Subscription/mine/UsagePoint"),
        ("no such path", "/nothing"),
    ):
        answer = app.read(path)
        came(f"{what}: {short(answer)}", answer.status_code in (403, 404))
    answer = app.read("/open-banking/v4.0/aisp/accounts", "harbour-bank")
    came(f"an organisation not asked for: {short(answer)}", answer.status_code in (401, 403))
    step("she refuses: an ordinary answer")
    other = App("walk-logo")
    alice.go(other.address(other.push(details())), decision="refuse")
    came(f"{alice.answered()}", alice.answered().get("error") == "access_denied")
    return app, token


def walk_lookup():
    step("which purposes, types of data, fields are there?")
    for part in ("purposes", "fields"):
        code, said = aval("reference", part)
        came(f"aval reference {part}: {len(said.splitlines())} lines", code == 0)
    code, said = aval("reference", "scopes")
    came(f"aval reference scopes: {code}", code == 0 and "energy:usage" in said)
    metadata = httpx.get(f"{GATEWAY}/.well-known/oauth-authorization-server").json()
    came(f"scopes_supported has: {metadata['scopes_supported']}")
    resource = httpx.get(f"{GATEWAY}/.well-known/oauth-protected-resource/data/city-energy").json()
    came(f"of city-energy: {resource['scopes_supported']}", "energy:usage" in resource["scopes_supported"])
    app = App("walk-app")
    for what, asked in (
        ("a purpose that is none", details(purpose="energy-advise")),
        ("a field that is none", details(fields=["interval.valu"])),
        ("a field that is not registered", details(fields=["interval.cost"])),
        ("a type of data that is not registered", details(datatypes=["energy.point"])),
        ("above a cap", details(valid_for="P24M")),
        ("another host", details(locations=["http://localhost:8400/data/city-energy"])),
        ("an organisation that is none", details(locations=[f"{GATEWAY}/data/city-enrgy"])),
        ("a member that is none", details(colour="red")),
    ):
        answer = app.push(asked)
        came(f"{what}: {short(answer)}", answer.status_code == 400)


def walk_unlinked():
    step("an account that is not linked")
    germaine = Person("germaine")
    app = App("walk-app")
    left = germaine.go(app.address(app.push(details())), link=False)
    came(f"she is shown “{germaine.page.words[0]}”, app waits", not left and "Link" in germaine.page.words[0])
    came(
        f"she refuses there: {germaine.submit(germaine.page.form('/consent/'), ('decision', 'refuse')) and germaine.answered()}",  # noqa: E501
        germaine.answered().get("error") == "access_denied",
    )

    step("an account that is linked, and is linked no more")
    bob = Person("bob")
    token = app.connect(bob)
    came(
        f"Bob, who had to link first: {app.read().status_code}; he: {' > '.join(bob.seen)}",
        app.read().status_code == 200,
    )
    page = bob.open("/organisations/city-energy/unlink")
    page = bob.submit(page.form("/unlink"))
    came(f"he unlinks: {page.words[0]}")
    answer = app.read()
    came(f"the next call: {short(answer)}", answer.status_code == 403 and answer.json()["reason"] == "not_linked")
    stop_all(bob)
    app.give_back(token)


def walk_browser(alice):
    step("a public app in a browser (CORS), by a plain scope")
    origin = "http://localhost:8499"
    add(
        "walk-browser",
        f'redirect_uris = ["{origin}/"]',
        'token_endpoint_auth_method = "none"',
        'purposes = ["energy-advice"]',
        'scope = "energy:usage"',
        data="",
    )
    http = httpx.Client(headers={"Origin": origin})
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,dpop"}
    for path in ("/par", "/token", "/revoke", "/userinfo", "/data/city-energy" + FEED):
        method = "GET" if path.startswith(("/data", "/userinfo")) else "POST"
        headers = {
            **ask,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type,dpop",
        }
        answer = http.request("OPTIONS", GATEWAY + path, headers=headers)
        allowed = answer.headers.get("access-control-allow-origin")
        came(
            f"OPTIONS {path}: {answer.status_code}, {allowed}, {answer.headers.get('access-control-allow-headers')}",
            allowed in (origin, "*"),
        )
    answer = http.request("OPTIONS", f"{GATEWAY}/par", headers={**ask, "Origin": "https://evil.example"})
    came(
        f"OPTIONS of another origin: {answer.status_code} {answer.headers.get('access-control-allow-origin')}",
        not answer.headers.get("access-control-allow-origin"),
    )
    answer = http.get(f"{GATEWAY}/.well-known/oauth-authorization-server")
    came(
        f"metadata: {answer.headers.get('access-control-allow-origin')}",
        bool(answer.headers.get("access-control-allow-origin")),
    )
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    form = {"client_id": "walk-browser", "response_type": "code", "redirect_uri": f"{origin}/", "scope": "energy:usage",
            "state": "s", "code_challenge": challenge, "code_challenge_method": "S256"}  # fmt: skip
    answer = http.post(f"{GATEWAY}/par", data=form)
    came(
        f"without resource: {short(answer)}; CORS {answer.headers.get('access-control-allow-origin')}",
        "invalid_target" in answer.text,
    )
    answer = http.post(f"{GATEWAY}/par", data={**form, "resource": f"{GATEWAY}/data/city-energy"})
    came(f"with it: {short(answer)}", answer.status_code == 201)
    query = urlencode({"client_id": "walk-browser", "request_uri": answer.json()["request_uri"]})
    came(f"she agrees: {alice.go(f'{GATEWAY}/authorize?{query}')}", bool(alice.left))
    form = {"client_id": "walk-browser", "grant_type": "authorization_code", "redirect_uri": f"{origin}/",
            "code": alice.answered().get("code", ""), "code_verifier": verifier}  # fmt: skip
    token = http.post(f"{GATEWAY}/token", data=form)
    came(
        f"token: {token.status_code} CORS {token.headers.get('access-control-allow-origin')}", token.status_code == 200
    )
    bearer = {"Authorization": f"Bearer {token.json().get('access_token')}"}
    answer = http.get(f"{GATEWAY}/data/city-energy{FEED}", headers=bearer)
    came(
        f"data: {answer.status_code} CORS {answer.headers.get('access-control-allow-origin')}, exposes {answer.headers.get('access-control-expose-headers')}",  # noqa: E501
        answer.status_code == 200,
    )
    answer = http.get(f"{GATEWAY}/data/city-energy{FEED}", headers={**bearer, "Origin": "https://evil.example"})
    came(
        f"data, page of another origin: {answer.status_code} CORS {answer.headers.get('access-control-allow-origin')}",
        not answer.headers.get("access-control-allow-origin"),
    )
    refused = http.get(f"{GATEWAY}/data/city-energy{FEED}")
    came(
        f"no token: {refused.status_code} {refused.headers.get('www-authenticate')}; CORS {refused.headers.get('access-control-allow-origin')}",  # noqa: E501
        refused.status_code == 401,
    )


def proof_of(key, method, address, token="", nonce=""):
    claims = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": address, "iat": int(time.time())}
    if nonce:
        claims["nonce"] = nonce
    if token:
        claims["ath"] = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    return jwt.encode(header, claims, key, algorithms=["ES256"])


def as_table(key):
    public = {**key.as_dict(private=False), "kid": "walk", "alg": "ES256", "use": "sig"}
    return "\n[[jwks.keys]]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in public.items()) + "\n"


def walk_dpop(alice):
    step("DPoP, with a public client")
    add(
        "walk-dpop",
        'token_endpoint_auth_method = "none"',
        'purposes = ["energy-advice"]',
        "dpop_bound_access_tokens = true",
    )
    app, key = App("walk-dpop"), ECKey.generate_key("P-256")
    pushed = app.push(details())
    came(f"PAR without a proof: {short(pushed)}", pushed.status_code == 201)
    alice.go(app.address(pushed))
    endpoint = app.server["token_endpoint"]
    form = {
        "grant_type": "authorization_code",
        "client_id": app.id,
        "code": alice.answered()["code"],
        "redirect_uri": BACK,
        "code_verifier": app.verifier,
    }
    answer = httpx.post(endpoint, data=form)
    came(f"token without a proof: {short(answer)}", answer.status_code == 400)
    answer = httpx.post(endpoint, data=form, headers={"DPoP": proof_of(key, "POST", endpoint)})
    if answer.status_code != 200:  # was the code spent by the try without a proof?
        came(f"the same code again, with a proof: {short(answer)}", False)
        return
    came(f"the same code again, with a proof: {answer.status_code} {answer.json()['token_type']}")
    token, feed = answer.json()["access_token"], f"{GATEWAY}/data/city-energy{FEED}"
    proof = proof_of(key, "GET", feed, token)
    answer = httpx.get(feed, headers={"Authorization": f"DPoP {token}", "DPoP": proof})
    came(f"data with a proof: {answer.status_code}", answer.status_code == 200)
    answer = httpx.get(feed, headers={"Authorization": f"DPoP {token}", "DPoP": proof})
    came(
        f"the same proof again: {answer.status_code} {answer.headers.get('www-authenticate')}",
        answer.status_code == 401,
    )
    answer = httpx.get(feed, headers={"Authorization": f"Bearer {token}"})
    came(f"as Bearer: {answer.status_code} {answer.headers.get('www-authenticate')}", answer.status_code == 401)
    answer = httpx.get(
        feed,
        headers={"Authorization": f"DPoP {token}", "DPoP": proof_of(ECKey.generate_key("P-256"), "GET", feed, token)},
    )
    came(f"another key: {answer.status_code} {answer.headers.get('www-authenticate')}", answer.status_code == 401)


def walk_key(alice):
    step("private_key_jwt, with aud = the address of PAR")
    key = ECKey.generate_key("P-256")
    add(
        "walk-signed",
        'token_endpoint_auth_method = "private_key_jwt"',
        'purposes = ["energy-advice"]',
        data=DATA + as_table(key),
    )
    app = App("walk-signed", key=key, method="private_key_jwt")
    par = app.server["pushed_authorization_request_endpoint"]
    for what, audience, good in (
        ("issuer", app.server["issuer"], True),
        ("token endpoint", app.server["token_endpoint"], True),
        ("PAR address", par, True),
        ("another server", "https://elsewhere.example", False),
    ):
        app.sign_for(audience)
        answer = app.push(details())
        came(f"oauth21, aud = {what}: {short(answer)}", (answer.status_code == 201) == good)
    app.sign_for(par)
    pushed = app.push(details())
    alice.go(app.address(pushed))
    form = {
        "grant_type": "authorization_code",
        "code": alice.answered()["code"],
        "redirect_uri": BACK,
        "code_verifier": app.verifier,
    }
    answer = app.post("token_endpoint", form)
    came(f"at the token endpoint with aud = PAR address: {short(answer)}", answer.status_code == 401)
    app.sign_for(app.server["issuer"])
    answer = app.post("token_endpoint", form)
    came(f"then with aud = issuer, same code: {answer.status_code}", answer.status_code == 200)
    add(
        "walk-fapi",
        'profile = "fapi2"',
        'token_endpoint_auth_method = "private_key_jwt"',
        "dpop_bound_access_tokens = true",
        'purposes = ["energy-advice"]',
        data=DATA + as_table(key),
    )
    strict = App("walk-fapi", key=key, method="private_key_jwt")
    for what, audience, good in (("issuer", strict.server["issuer"], True), ("PAR address", par, False)):
        strict.sign_for(audience)
        answer = strict.push(details())
        came(f"fapi2, aud = {what}: {short(answer)}", (answer.status_code == 201) == good)


def walk_empty():
    step("empty parameters")
    app = App("walk-app")
    answer = app.push(details(), scope="", resource="", claims="", dpop_jkt="", login_hint="")
    came(f"scope, resource, claims, dpop_jkt, login_hint empty at PAR: {short(answer)}", answer.status_code == 201)
    for name in ("state", "code_challenge", "redirect_uri", "response_type", "authorization_details"):
        address, _ = app.client.create_authorization_url(
            app.server["authorization_endpoint"], code_verifier="v" * 43, authorization_details=json.dumps(details())
        )
        form = {**dict(parse_qsl(urlsplit(address).query)), name: ""}
        answer = httpx.post(f"{GATEWAY}/par", data=form)
        came(f"{name} empty: {short(answer)}", answer.status_code in (201, 400))
    answer = httpx.post(f"{GATEWAY}/par", data={"client_id": ""})
    came(f"client_id empty: {short(answer)}", answer.status_code in (400, 401))
    answer = httpx.post(
        f"{GATEWAY}/par",
        content="client_id=walk-app&client_id=walk-app",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    came(f"client_id twice: {short(answer)}", answer.status_code == 400)
    answer = httpx.post(f"{GATEWAY}/par", json={"client_id": "walk-app"})
    came(f"JSON in place of a form: {short(answer)}", answer.status_code in (400, 415))


def walk_metadata():
    step("openid-configuration")
    one, two = (
        httpx.get(f"{GATEWAY}/.well-known/{x}").json() for x in ("oauth-authorization-server", "openid-configuration")
    )
    came(f"the same as oauth-authorization-server, {len(two)} members", one == two)
    needed = (
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    )
    came(
        f"what OpenID Connect Discovery requires: missing {[x for x in needed if x not in two]}",
        all(x in two for x in needed),
    )
    came(f"issuer is the address: {two['issuer']}", two["issuer"] == GATEWAY)
    came(f"keys: {[k['alg'] for k in httpx.get(two['jwks_uri']).json()['keys']]}")


def walk_again(alice):
    step("asking again: the same request goes on, and what was granted is a new one")
    app = App("walk-app")
    first = app.connect(alice)
    alice.seen = []
    second = app.connect(alice)
    came(
        f"the same request: {alice.seen}; the same grant: {second['grant_id'] == first['grant_id']}",
        second["grant_id"] == first["grant_id"],
    )
    third = app.connect(alice, second["authorization_details"])
    came(f"what was granted: {alice.seen}", third["grant_id"] != second["grant_id"])


def walk_claims():
    step("userinfo has no empty claim (OpenID Connect Core §5.3.2)")
    secret = add(
        "walk-web",
        'profile = "oidc"',
        'token_endpoint_auth_method = "client_secret_basic"',
        'purposes = ["sign-in"]',
        data="",
    )
    app, bob = App("walk-web", secret=secret, method="client_secret_basic"), Person("bob")
    app.client.scope = "openid profile email"
    app.verifier = secrets.token_urlsafe(48)
    address, app.state = app.client.create_authorization_url(
        app.server["authorization_endpoint"], code_verifier=app.verifier, nonce="n"
    )
    bob.go(address)
    app.fetch(bob.left)
    claims = app.client.get(app.server["userinfo_endpoint"]).json()
    came(f"{claims}", "" not in claims.values())


def walk_life(alice, app, token):
    step("afterwards: refresh, stop, and what a call says then")
    renewed = app.client.refresh_token(app.server["token_endpoint"], refresh_token=token["refresh_token"])
    came(
        f"refresh: a new refresh token: {renewed['refresh_token'] != token['refresh_token']}",
        renewed["refresh_token"] != token["refresh_token"],
    )
    came(f"data: {app.read().status_code}", app.read().status_code == 200)
    stop_all(alice)
    answer = app.read()
    came(f"after she stopped: {short(answer)}", answer.status_code == 403 and answer.json()["reason"] == "ended")


def main():
    if not GATEWAY or not os.environ.get("AVAL_DATA_DIR"):
        raise SystemExit("Copy the `export` line that `make demo` has printed.")
    alice = Person("alice")
    walk_commands()
    walk_logo()
    app, token = walk_code(alice)
    walk_lookup()
    walk_unlinked()
    walk_browser(alice)
    walk_dpop(alice)
    walk_key(alice)
    walk_empty()
    walk_metadata()
    walk_again(alice)
    walk_claims()
    # the other apps have agreements of their own; only walk-app's is looked at here
    fresh = App("walk-app")
    token = fresh.connect(alice)
    walk_life(alice, fresh, token)
    print(f"\n{len(failed)} steps went otherwise than expected", *failed, sep="\n   ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
