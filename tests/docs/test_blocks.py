"""Every block of code in the documents does what it shows: a reader who follows them from top to bottom succeeds."""

import contextlib
import json
import os
import re
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jsonschema
import pytest
import yaml
from blocks import DOCUMENTS, ROOT, Block, Shell, answers, blocks, command_of, lines, make_targets, printed

from gateway.catalogue import Catalogue
from gateway.cli.demo_setup import PORTS, Demo
from gateway.cli.demo_story import Story
from gateway.cli.demo_visitor import WebPage
from gateway.ground.ops.metrics import METRICS, OUTCOMES
from gateway.settings import Settings, shipped_policies, unsafe
from tests.clients.play import NODE, missing_node, need_node
from tests.ports import free_port
from tests.worlds.chromium import PROGRAM, launched

# Commands that are not run here, by how they begin, and why. Of `make`, the target must be there.
ELSEWHERE = {
    "make demo": "what it starts runs beside every document here",
    "make test": "runs this very test",
    "make test-again": "runs it again, on other engines",
    "make check": "minutes; nothing in it depends on the document",
    "make venv": "installs from the network; without it there would be no test",
    "make docs": "writes into the sources; tests/docs/test_reference.py compares what it would write",
    "make bench": "minutes, and two cores with nothing else at work",
    "ONLY=processes python -m tests.bench": "minutes, and two cores with nothing else at work",
    "ONLY=pages python -m tests.bench": "a minute, and the libraries of a checkout's .venv",
    "ONLY=tokens python -m tests.bench": "minutes, and two cores with nothing else at work",
    "make races": "minutes; its short form is tests/races",
    "python -m tests.bench": "minutes, and two cores with nothing else at work",
    ".venv/bin/python -m pytest": "tests inside a test",
    ".venv/bin/aval demo --story": "tests/journeys/test_story.py tells it",
    "npm install": "installs from the network; the clients of `make clients` are put in its place",
    "curl --cert": "the demo has no address for certificates; tests/clients/test_clients_profiles.py shows them",
    "python -m examples.organisations.city_energy": "serves; tests/clients/test_clients_certification.py starts it",
    "softhsm2-util": "makes a token for the whole machine; tests/cli/test_keys_module.py does it all in a folder",
    "pkcs11-tool": "as softhsm2-util",
    "aval keys wrap": "as softhsm2-util",
    "aval compile": "minutes of a C compiler; tests/ops/test_compiled.py runs what it has made, where it has",
}
ASKING = {"README.md": "watt-coach", "gateway/docs/apps.md": "my-app"}  # document → the app whose requests it shows
LANGUAGES = {"sh", "console", "toml", "json", "python", "yaml", "javascript", "html"}


def elsewhere(line: str) -> bool:
    return any(line == begin or line.startswith(f"{begin} ") for begin in ELSEWHERE)


@pytest.mark.timeout(400)  # a minute for the longest document, on a machine that does nothing else
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_reader_who_follows_a_document_succeeds(
    document: Path,
    demo: Demo,
    checkout: Path,
    environment: dict[str, str],
    servers: list[subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = Reader(demo, Shell(checkout, environment), servers, monkeypatch)
    for block in blocks(document):
        assert block.language in LANGUAGES, f"{block.document}:{block.line}: say in which language it is"
        reader.follow(block)
    if reader.passed_over:  # after all the rest: say why
        need_node()
        with launched():
            pass


class Reader:
    """One who has `make demo` running. Ports are those of this demo instead of those of `make demo`."""

    def __init__(
        self, demo: Demo, shell: Shell, servers: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.demo, self.shell, self.servers, self.monkeypatch = demo, shell, servers, monkeypatch
        self.app_port = free_port()  # where the app of a document is, in the place of 8499
        self.passed_over: list[str] = []  # what needs Node or its clients, which are not here

    def follow(self, block: Block) -> None:
        if block.file:
            (self.shell.folder / block.file).write_text(self.here(block.text), encoding="utf-8")
        try:
            {
                "sh": self.type,
                "console": self.type,
                "toml": self.load,
                "json": self.push,
                "python": self.compile,
                "yaml": self.watch,
                "javascript": self.parse,
                "html": self.keep,
            }[block.language](block)
        except AssertionError as error:
            raise AssertionError(f"{block.document}:{block.line}: {error}") from error

    def here(self, text: str) -> str:
        for name, above in PORTS.items():
            text = text.replace(f"localhost:{8400 + above}", f"localhost:{self.demo.ports[name]}")
        return re.sub(r"\b8499\b", str(self.app_port), text)

    def type(self, block: Block) -> None:
        for command, shown in block.commands:
            line = self.here(command_of(command))
            clients = self.shell.folder / "node_modules"
            if line.startswith("npm install ") and not missing_node() and not clients.exists():
                clients.symlink_to(NODE / "node_modules")
            if elsewhere(line):
                continue
            if (line.startswith("node ") and missing_node()) or (line.startswith(PAGES) and not can_show_pages()):
                self.passed_over.append(line)
                continue
            if line == "aval serve":
                self.serve()
            elif command_of(command) in CONVERSATIONS:
                printed(self.here(shown), CONVERSATIONS[command_of(command)](self.demo, self.shell, line))
            else:
                told = self.shell.run(line)
                if shown:
                    printed(self.here(shown), told)

    def serve(self) -> None:
        """In a terminal of its own, on a port of its own: that of the demo is taken."""
        port = free_port()
        self.shell.environment |= {"AVAL_PORT": str(port), "AVAL_PUBLIC_URL": f"http://localhost:{port}"}
        self.servers.append(self.shell.start("aval serve"))
        assert answers(f"http://localhost:{port}/readyz", self.servers[-1]), "it does not serve"

    def load(self, block: Block) -> None:
        """Declarations are added by the command that follows; settings are loaded as the gateway would."""
        found = tomllib.loads(block.text)
        if block.file:
            return
        config = self.shell.folder / "settings.toml"
        config.write_text(block.text, encoding="utf-8")
        for name in [name for name in os.environ if name.startswith("AVAL_")]:
            self.monkeypatch.delenv(name)
        self.monkeypatch.setenv("AVAL_CONFIG", str(config))
        settings = Settings()
        assert all(getattr(settings, name) is not None for name in found)
        assert not list(unsafe(settings)), "production would refuse it"

    def push(self, block: Block) -> None:
        """A request that is shown is of the form of the schema, known to the catalogue, and taken by the gateway."""
        details = json.loads(self.here(block.text))
        schema, catalogue = json.loads((ROOT / "policies/data_access.schema.json").read_text()), _catalogue()
        for detail in details:
            jsonschema.validate(detail, schema)
            for name in detail["datatypes"]:
                assert set(detail["fields"]) <= set(catalogue.datasets[name].fields)
        app = ASKING[block.document]
        form = {
            "client_id": app,
            "response_type": "code",
            "redirect_uri": self.here("http://localhost:8499/callback")
            if app == "my-app"
            else f"{self.demo.url(app)}/callback",
            "state": "of the reader's",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
            "authorization_details": json.dumps(details),
        }
        answer = httpx2.post(f"{self.demo.url('gateway')}/par", data=form, timeout=30, trust_env=False)
        assert answer.status_code == 201, answer.text

    def compile(self, block: Block) -> None:
        compile(block.text, block.file, "exec")

    def parse(self, block: Block) -> None:
        if missing_node():
            self.passed_over.append(block.file)
        else:
            self.shell.run(f"node --check {block.file}")

    def keep(self, block: Block) -> None:
        assert block.file, "a page that nothing shows"

    def watch(self, block: Block) -> None:
        """Alerts ask for metrics that there are, and for outcomes that there can be."""
        for alert in yaml.safe_load(block.text):
            assert alert["alert"] and (asked := re.findall(r"\baval_\w+", alert["expr"]))
            assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked} <= set(METRICS)
            for outcomes in re.findall(r'outcome=~?"([^"]*)"', alert["expr"]):
                assert set(outcomes.split("|")) <= set(OUTCOMES)


def _catalogue() -> Catalogue:
    return Catalogue(shipped_policies())


@contextlib.contextmanager
def linked(demo: Demo) -> Iterator[Story]:
    """Alice, signed in, with City Energy linked."""
    story = Story(demo)
    try:
        story.sign_in()
        story.link_city_energy()
        yield story
    finally:
        story.http.close()
        story.alice._client.close()


def first_call(demo: Demo, shell: Shell, line: str) -> str:
    """Alice opens the address that the script prints, links, agrees, and pastes the address at which she ends. Before
    that she pastes another one, and refuses once."""
    with linked(demo) as story:
        _, told, code = pasted(shell, line, lambda address: "http://localhost/callback?code=x")
        assert code == 1 and "not the answer to this request" in told, told
        _, told, code = pasted(shell, line, lambda address: refused(story, address))
        assert code == 1 and told.endswith("not granted: access_denied\n"), told
        opened, told, code = pasted(shell, line, lambda address: agreed(story, address))
    assert code == 0, told
    return opened + ended_line(told)


def walk(demo: Demo, shell: Shell, line: str) -> str:
    """Alice opens the address that the script prints, agrees, and pastes the address at which she ends."""
    with linked(demo) as story:
        opened, told, code = pasted(shell, line, lambda address: agreed(story, address))
    assert code == 0, told
    return opened + ended_line(told)


def visited(demo: Demo, shell: Shell, line: str) -> str:
    """Alice opens the website, agrees to be signed in there, and comes a second time, when nobody asks her."""
    story = Story(demo)
    with shell.start(f"{line} 2>&1") as site, ending(site):
        assert site.stdout
        try:
            told = site.stdout.readline()
            address = told.split()[-1]
            story.alice.origins += (address.removesuffix("/login"),)
            story.sign_in()
            screen = story.alice.get(address)
            agreed = story.alice.submit(screen, screen.form("/consent/"), press="allow")
            assert "Welcome, Alice Martin." in agreed.text
            assert "Welcome, Alice Martin." in story.alice.get(address).text
            return told + site.stdout.readline() + site.stdout.readline()
        finally:
            site.kill()
            story.http.close()
            story.alice._client.close()


def shown_in_a_browser(demo: Demo, shell: Shell, line: str) -> str:
    """The page of an app without a server, in Chromium, on an origin of its own. Alice has signed in before."""
    story, address = Story(demo), f"http://localhost:{line.split()[-1]}/"
    with shell.start(f"{line} 2>&1") as pages, launched() as chromium:
        try:
            story.sign_in()
            story.link_city_energy()
            assert answers(address, pages)
            context = chromium.new_context(locale="en-GB")
            own: Any = {"url": demo.url("gateway").replace("http:", "https:"), "secure": True, "httpOnly": True}
            jar = story.alice._cookies[demo.url("gateway")]
            context.add_cookies([{"name": name, "value": value, **own} for name, value in jar.items() if value])
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.goto(address)
            page.locator("button").click()
            page.locator("input[name='accounts:city-energy']").first.check()
            page.locator("button[name=decision][value=allow]").click()
            page.locator("pre:not(:empty)").wait_for()
            assert page.locator("pre").text_content() == "200: interval.start, interval.value"
            context.close()
            return ""
        finally:
            pages.kill()
            story.http.close()
            story.alice._client.close()


def can_show_pages() -> bool:
    return bool(PROGRAM) and not missing_node()


def ended_line(told: str) -> str:
    """What she pastes ends the line that the prompt began."""
    return told.replace("browser ends: ", "browser ends: …\n")


def pasted(shell: Shell, line: str, answer: Callable[[str], str]) -> tuple[str, str, int]:
    """What the script printed before and after the answer to the address it prints, and how it ended."""
    with shell.start(f"{line} 2>&1") as script, ending(script):
        assert script.stdin and script.stdout
        try:
            opened = script.stdout.readline()
            while opened and not opened.splitlines()[-1].startswith("Open "):
                opened += (line := script.stdout.readline())
                assert line, opened
            script.stdin.write(f"{answer(opened.split()[-1])}\n")
            script.stdin.close()
            return opened, script.stdout.read(), script.wait(60)
        finally:
            script.kill()


@contextlib.contextmanager
def ending(process: "subprocess.Popen[str]", seconds: float = 90) -> Iterator[None]:
    """A script that waits for what never comes is killed, and then has printed too little."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def refused(story: Story, address: str) -> str:
    page = story.alice.get(address)
    return ended(story.alice.submit(page, page.form("/consent/"), press="refuse"))


def agreed(story: Story, address: str) -> str:
    return ended(story._agree(story.alice.get(address), accounts=1, tick=()))


def ended(page: WebPage) -> str:
    assert page.status == 0 and urlsplit(page.url).path == "/callback", page.text
    return page.url


PAGES = "python -m http.server"
CONVERSATIONS = {
    "python first_call.py": first_call,
    "python signed_app.py": walk,
    "node fapi2_app.mjs": walk,
    "python dpop_app.py": walk,
    "python website.py": visited,
    "python -m http.server --bind 127.0.0.1 8499": shown_in_a_browser,
}


def test_every_command_that_is_not_run_here_is_there() -> None:
    for begin in ELSEWHERE:
        if begin.startswith("make "):
            assert begin.removeprefix("make ") in make_targets(), begin
    shown = [line for document in DOCUMENTS for block in blocks(document) for line in lines(block)]
    unused = [begin for begin in ELSEWHERE if not any(line.startswith(begin) for line in shown)]
    assert not unused, "no document shows it any more"


def test_the_finder_misses_no_block() -> None:
    """Fences inside of lists too; a block in another form of writing would be neither found nor run."""
    for document in DOCUMENTS:
        fences = [line for line in document.read_text(encoding="utf-8").splitlines() if line.strip().startswith("```")]
        assert len(fences) == 2 * sum(block.language != "sh" for block in blocks(document)), document
    assert sum(len(blocks(document)) for document in DOCUMENTS) >= 15
