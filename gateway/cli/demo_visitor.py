"""A minimal browser for the demo's story: cookies, links, forms. It has no JavaScript: every page must work without."""

import html
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2


@dataclass
class WebForm:
    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)  # as sent if the form is not changed
    offered: dict[str, list[str]] = field(default_factory=dict)  # every value of boxes and radios
    buttons: dict[str, str] = field(default_factory=dict)  # value → name


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[WebForm] = []
        self.refresh = ""
        self.text: list[str] = []
        self._open: WebForm | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._open = WebForm(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._open)
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.refresh = given["content"].partition("url=")[2]
        elif self._open is not None and tag in ("input", "button", "select"):
            self._field(self._open, tag, given)

    def _field(self, form: WebForm, tag: str, given: dict[str, str]) -> None:
        name, value, kind = given.get("name", ""), given.get("value", ""), given.get("type", "text")
        if tag == "button" or kind == "submit":
            if name:
                form.buttons[value] = name
        elif kind in ("checkbox", "radio"):
            form.offered.setdefault(name, []).append(value or "on")
            if "checked" in given and "disabled" not in given:
                form.fields.setdefault(name, []).append(value or "on")
        elif name:
            form.fields[name] = [value]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@dataclass
class WebPage:
    url: str
    status: int
    body: str
    headers: dict[str, str]

    def __post_init__(self) -> None:
        parsed = _Forms()
        parsed.feed(self.body if "html" in self.headers.get("content-type", "") else "")
        self.forms = parsed.forms
        self.refresh = html.unescape(parsed.refresh)
        self.text = " ".join(" ".join(parsed.text).split())

    def form(self, action_contains: str) -> WebForm:
        for form in self.forms:
            if action_contains in form.action:
                return form
        raise LookupError(f"no form for {action_contains!r} on {urlsplit(self.url).path} ({self.status})")


class Visitor:
    """One person's browser. Follows redirects within `origins`. At a redirect to elsewhere it stops and returns it."""

    def __init__(self, *origins: str) -> None:
        self.origins = origins
        self._cookies: dict[str, dict[str, str]] = {}
        self._client = httpx2.Client(timeout=30, follow_redirects=False)

    def get(self, url: str) -> WebPage:
        return self._send("GET", url, None)

    def submit(self, page: WebPage, form: WebForm, *, press: str = "", **values: str | list[str]) -> WebPage:
        """Fill in and send. `press`: the value of the button pressed."""
        fields = dict(form.fields)
        for name, value in values.items():
            fields[name] = value if isinstance(value, list) else [value]
        if press:
            fields[form.buttons[press]] = [press]
        pairs = [(name, value) for name, list_ in fields.items() for value in list_]
        url = urljoin(page.url, form.action or page.url)
        if form.method == "get":
            return self._send("GET", url.split("?")[0] + "?" + urlencode(pairs), None)
        return self._send("POST", url, urlencode(pairs))

    def _send(self, method: str, url: str, body: str | None) -> WebPage:
        for _ in range(12):
            origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
            if origin not in self.origins:
                return WebPage(url, 0, "", {})
            headers = {"accept": "text/html", "accept-language": "en"}
            jar = self._cookies.setdefault(origin, {})
            if jar:
                headers["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
            if body is not None:
                headers |= {"content-type": "application/x-www-form-urlencoded", "origin": origin}
            answer = self._client.request(method, url, headers=headers, content=body)
            for line in answer.headers.get_list("set-cookie"):
                name, _, value = line.split(";")[0].partition("=")
                jar[name.strip()] = value.strip()
            page = WebPage(url, answer.status_code, answer.text, {k.lower(): v for k, v in answer.headers.items()})
            if answer.status_code in (301, 302, 303):
                method, url, body = "GET", urljoin(url, answer.headers["location"]), None
            elif page.refresh:
                method, url, body = "GET", urljoin(url, page.refresh), None
            else:
                return page
        raise LookupError(f"redirected in a circle at {urlsplit(url).path}")
