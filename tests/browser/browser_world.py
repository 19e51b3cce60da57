"""A browser window that counts clicks and watches itself, and the walks people take in it."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request, Response

from gateway.cli.demo_setup import PASSWORD, Demo
from tests.worlds.demo import CUSTOMERS, Resident

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FIND = "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
LANGUAGE = "__Host-aval-language"  # the cookie of the language switch
_OWN = ("data:", "about:", "blob:")


@dataclass
class Window:
    context: BrowserContext
    world: Demo
    clicks: int = 0
    faults: list[str] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)  # origins beyond the demo that a test has set up itself

    def __post_init__(self) -> None:
        self.page = self.context.new_page()
        self.context.on("request", self._request)
        self.context.on("response", self._response)
        self.context.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))

    # ---- watching

    def _request(self, request: Request) -> None:
        known = {self.world.url(name) for name in self.world.ports} | self.outside
        if not request.url.startswith(_OWN) and origin(request.url) not in known:
            self.faults.append(f"a request to {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} from {response.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Refused to" in message.text:
            self.faults.append(f"policy: {message.text}")

    # ---- hands

    def go(self, address: str, at: str = "gateway") -> "Window":
        self.page.goto(address if "://" in address else self.world.url(at) + address)
        return self

    def click(self, what: str | Locator, role: str = "", *, stays: bool = False) -> "Window":
        """By its words (a button or a link), or by a locator; counted. Waits for the next page unless it `stays`."""
        self.clicks += 1
        control = self.control(what, role) if isinstance(what, str) else what
        if stays:
            control.click()
        else:
            with self.page.expect_navigation():
                control.click()
        return self

    def control(self, words: str, role: str = "") -> Locator:
        page = self.page
        if role:
            return page.get_by_role(role, name=words, exact=True).first  # type: ignore[arg-type]
        return page.get_by_role("button", name=words).or_(page.get_by_role("link", name=words)).first

    def decide(self, answer: str) -> "Window":
        """`allow` or `refuse`, whatever the language."""
        return self.click(self.page.locator(f"button[name=decision][value={answer}]"))

    def choose_accounts(self, organisation: str, count: int = 1) -> "Window":
        boxes = self.page.locator(f"input[name='accounts:{organisation}']:not([disabled])")
        for index in range(count):
            self.click(boxes.nth(index), stays=True)
        return self

    def tick(self, dataset: str) -> "Window":
        return self.click(self.page.locator(f"input[name='item:{dataset}']"), stays=True)

    def last_for(self, duration: str) -> "Window":
        return self.click(self.page.locator(f"input[name=duration][value={duration}]"), stays=True)

    # ---- eyes

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    @property
    def title(self) -> str:
        return self.page.locator("h1").inner_text()

    def text(self) -> str:
        return " ".join(self.page.locator("main").inner_text().split())

    def is_at(self, name: str) -> bool:
        return origin(self.page.url) == self.world.url(name)

    # ---- walks

    def connect(self, app: str = "watt-coach") -> "Window":
        self.go("/", app)
        return self.click(self.page.locator("form[action='/connect'] button"))

    def sign_in(self, who: Resident) -> "Window":
        self.page.fill("#email", who.email)
        self.page.fill("#password", PASSWORD)
        return self.click(self.page.locator("form[action^='/sign-in'] button").last)

    def link_city_energy(self) -> "Window":
        """From the page that asks to link first: to City Energy's own site, and back."""
        self.click(self.page.locator("a[href^='/organisations/city-energy/link']"))
        self.click(self.page.locator("form[action='/organisations/city-energy/link'] button").last)
        self.page.wait_for_url(f"{self.world.url('city-energy')}/**")
        self.page.fill("#n", CUSTOMERS["city-energy"])
        self.page.fill("#p", PASSWORD)
        self.click(self.page.locator("form[action='/oauth/sign-in'] button"))
        return self.click(self.page.locator("button[name=decision][value=yes]"))

    def at_the_question(self, app: str = "watt-coach") -> "Window":
        """The consent screen, for who is signed in and linked."""
        self.connect(app)
        self.page.locator("button[name=decision][value=allow]").wait_for()
        return self

    def shares(self, app: str = "watt-coach", organisation: str = "city-energy", duration: str = "") -> "Window":
        self.at_the_question(app).choose_accounts(organisation)
        if duration:
            self.last_for(duration)
        self.decide("allow")
        self.page.wait_for_url(f"{self.world.url(app)}/**")
        return self


def origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))
