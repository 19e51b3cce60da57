"""`aval reference`: what can be looked up, written from the code's own tables, so that it cannot go stale.

The page lies at gateway/docs/reference.md; `make docs` writes it and a test compares it. Whatever has no description
in the code has an empty cell here, and the test says which.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import errors
from gateway.apps import described
from gateway.apps.declare import FORM
from gateway.catalogue import Catalogue, CatalogueError, Purpose
from gateway.cli.opening import NO, settings, stop
from gateway.consent.rules import NEXT
from gateway.ground.declarations import REQUIRED
from gateway.ground.ops.metrics import METRICS
from gateway.ground.web.doors import Door
from gateway.ground.web.problems import OTHERS, advice
from gateway.log.events import COMMON, EVENTS
from gateway.settings import Settings, shipped_policies

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
RAW_DOORS = (  # what the composition root answers before, or beside, the doors of pages and APIs
    (
        "/data/{organisation}/{path}",
        "GET, HEAD",
        "an app with an access token",
        "One data call: the organisation's own path, cut to what was agreed. The entry is on the disk before the"
        " first byte leaves.",
    ),
    ("/static/{file}", "GET, HEAD", "anybody", "Stylesheet, mark and the script of passkeys: the pages' own files."),
)
CALLERS = {"page": "anybody", "api": "anybody", "oauth": "an app"}


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the page. `rows`: a row without a text in its last column is not documented."""

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def reference(
    context: typer.Context,
    about: Annotated[
        str, typer.Argument(metavar="WORD", help="Only the parts whose title has this word, such as purposes.")
    ] = "",
) -> None:
    """Print every setting, command, address, purpose, type of data, refusal, error, event and metric, with its meaning.

    \b
    aval reference | less
    aval reference purposes
    aval reference fields

    Purposes, types of data and fields are those of this gateway's own policies.
    """
    try:
        every = sections(context.find_root().command, settings().policies)
    except CatalogueError as error:
        stop(f"policies: {error}")
    found = [section for section in every if about.casefold() in section.title.casefold()]
    if not found:
        stop(f"{about}: no such part; there are: {', '.join(section.title for section in every)}", NO)
    typer.echo("\n".join(_written(found)) if about else page(every), nl=False)


def page(every: list[Section]) -> str:
    """The whole page."""
    head = "# Reference\n\nWritten by `make docs` from the code. Do not edit it by hand.\n"
    return "\n".join([head, *_written(every)])


def _written(found: list[Section]) -> Iterator[str]:
    for section in found:
        yield f"## {section.title}\n\n{section.text}\n"
        yield _row(section.columns)
        yield _row(tuple("---" for _ in section.columns))
        yield from (_row(row) for row in section.rows)
        yield ""


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def sections(commands: Any, policies: Path | None = None) -> list[Section]:
    """`commands`: the whole command line, as click knows it. `policies`: a folder; None: as shipped."""
    catalogue = Catalogue(policies or shipped_policies())
    return [
        _settings(),
        _commands(commands),
        _doors(),
        _steps(),
        _profiles(),
        _app_files(),
        _purposes(catalogue),
        _data(catalogue),
        _scopes(catalogue),
        _refusals(),
        _errors(),
        _events(),
        _life_cycle(),
        _metrics(),
    ]


def _steps() -> Section:
    """Each step once, in an order that all endpoints keep."""
    from gateway.authorization.tabled import TABLE

    endpoints = list(TABLE)
    steps = dict.fromkeys(step for name in endpoints for step in TABLE[name])
    return Section(
        "Steps of the authorization server",
        "Which checks a call of an endpoint takes; the numbers are their order. `authorize` is a link that holds the"
        " request, `authorize (kept)` one to a request that was pushed. The code: gateway/authorization/endpoints.py."
        " Without steps, as plain functions that hold their checks: `/apps` (authorization/registering.py),"
        " `/end-session` (logout_pages.py), her pages `/device` and `/requests` (devices.py, asked.py), `/ssf/…`"
        " (signals/api.py).",
        ("step", *endpoints, "meaning"),
        tuple(
            (
                f"`{step.__name__}`",
                *(str(TABLE[name].index(step) + 1) if step in TABLE[name] else "" for name in endpoints),
                (step.__doc__ or "").strip().partition("\n\n")[0],
            )
            for step in steps
        ),
    )


def _profiles() -> Section:
    from gateway.apps.profiles import DEFAULT, PROFILES

    audiences = {
        "issuer": "the issuer, as one string",
        "endpoint": "the issuer, the token endpoint or the endpoint called, as one string",
        "listed": "the same, also as a list",
    }
    names = list(PROFILES)
    found = PROFILES.values()
    return Section(
        "Client profiles",
        f"`profile` of an app's file, {DEFAULT} unless it says so: which rules its requests keep.",
        ("rule", *names),
        (
            ("client authentication", *(", ".join(one.auth_methods) for one in found)),
            ("`aud` of a client assertion", *(audiences[one.audience] for one in found)),
            ("pushed requests (PAR)", *(_asked(one.must_push, one.pushes) for one in found)),
            ("PKCE, S256", *("required" if one.challenged else "where the app uses it" for one in found)),
            ("access tokens", *("bound by DPoP or certificate" if one.bound else "bound or bearer" for one in found)),
            ("algorithms of what the app signs", *(", ".join(one.signs) for one in found)),
        ),
    )


def _app_files() -> Section:
    rows = [
        (
            f"`{key}`",
            "required" if default is REQUIRED else "–" if default == [] else _default(default),
            described.KEYS[key],
        )
        for key, (_, default) in FORM.tables[""].items()
    ]
    text = "The keys of the file that `aval apps add` reads. An example with all that is required: examples/apps."
    return Section("Files of apps", text, ("key", "if left out", "meaning"), tuple(rows))


def _asked(must: bool, usual: bool) -> str:
    return "required" if must else "required unless the app's file says otherwise" if usual else "where it says so"


def _settings() -> Section:
    rows = [
        (f"`{name}`", f"`AVAL_{name.upper()}`", _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    text = "A variable wins over the TOML file named by `AVAL_CONFIG`, the file over the default."
    return Section("Settings", text, ("in the file", "variable", "default", "what it is"), tuple(rows))


def _default(value: Any) -> str:
    if value in (None, "", ()):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _commands(commands: Any) -> Section:
    text = "`aval COMMAND --help` has the options and examples. Exit codes: 0 done, 1 the answer is no, 2 not done."
    return Section("Commands", text, ("command", "what it does"), tuple(_below(commands, "aval")))


def _below(command: Any, name: str) -> Iterator[tuple[str, str]]:
    if not hasattr(command, "commands"):
        yield f"`{name}`", (command.help or "").split("\n\n")[0]
    for part, below in sorted(getattr(command, "commands", {}).items()):
        if not below.hidden:
            yield from _below(below, f"{name} {part}")


def _doors() -> Section:
    rows = [*RAW_DOORS, *(_door(door) for door in every_door())]
    text = "Forms of pages carry a token of their page; APIs that know an app by its own credentials do not."
    columns = ("address", "methods", "who", "what it does")
    return Section("Addresses", text, columns, tuple((f"`{path}`", *rest) for path, *rest in sorted(rows)))


def every_door() -> list[Door]:
    """Of a gateway that is made for this and thrown away: doors are handed what they need by the composition root."""
    from gateway.app import build_house, doors

    with tempfile.TemporaryDirectory() as folder:
        house = build_house(Settings(data_dir=Path(folder)), create_keys=True)
        try:
            return doors(house)
        finally:
            house.store.close()


def _door(door: Door) -> tuple[str, str, str, str]:
    who = "a person who has signed in" if door.person else CALLERS[door.kind]
    handler = getattr(door.handler, "func", door.handler)  # of a partial: what it was made from
    return door.path, ", ".join(door.methods), who, (handler.__doc__ or "").split("\n\n")[0]


def _purposes(catalogue: Catalogue) -> Section:
    rows = [
        (f"`{code}`", _listed(found.datasets), _caps(found), found.title["en"])
        for code, found in sorted(catalogue.purposes.items())
    ]
    text = (
        "The `purpose` of a request, what it may ask for, and the most it may ask (ISO 8601 durations). A request above"
        " a cap is refused."
    )
    return Section("Purposes", text, ("purpose", "types of data", "at most", "what people read"), tuple(rows))


def _caps(purpose: Purpose) -> str:
    often = [f"{times} times a {per}" for times, per in purpose.caps.frequency]
    return ", ".join([*(f"{name} {length}" for name, length in purpose.caps.texts.items() if length), *often])


def _data(catalogue: Catalogue) -> Section:
    rows = [
        (f"`{dataset.id}`", f"`{field.id}`", "yes" if field.structural else "–", field.short["en"])
        for _, dataset in sorted(catalogue.datasets.items())
        for field in dataset.fields.values()
    ]
    text = "The `datatypes` and `fields` of a request. A structural one comes with its type of data, asked for or not."
    columns = ("type of data", "field", "structural", "what people read")
    return Section("Types of data and fields", text, columns, tuple(rows))


def _scopes(catalogue: Catalogue) -> Section:
    rows = [
        (
            _listed((scope.name, *scope.also)),
            f"`{scope.purpose}`",
            _listed(data.dataset for data in scope.data),
            _listed(dict.fromkeys(name for data in scope.data for name in data.fields)) or "all",
            f"valid_for {scope.valid_for}, retention {scope.retention}",
        )
        for name, scope in sorted(catalogue.scopes.items())
        if name == scope.name
    ]
    text = (
        "What a plain scope of the policies stands for, at the organisation that `resource` names. Organisations may"
        " have scopes of their own: `scopes_supported` of their metadata lists all."
    )
    return Section("Scopes", text, ("scope", "purpose", "types of data", "fields", "how long"), tuple(rows))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _refusals() -> Section:
    rows = [(f"`{reason}`", str(status), say, advice(reason)) for reason, (status, say) in errors.REASONS.items()]
    rows += [(f"`{code}`", str(status), say, advice(code)) for code, (status, say) in OTHERS.items()]
    text = "The `reason` of a refused data call, in its problem document (RFC 9457) and in the access log."
    return Section("Refusals", text, ("reason", "status", "what it says", "what to do"), tuple(rows))


def _errors() -> Section:
    ours = [kind for kind in errors.kinds() if kind.__module__.startswith("gateway.")]
    rows = [(f"`{kind.__name__}`", str(kind.status), f"`{kind.code}`", kind.public) for kind in ours]
    text = "What every other address answers when it cannot do what was asked: `/problems/{code}` explains each."
    return Section("Errors", text, ("type", "status", "code", "what it says"), tuple(sorted(rows, key=_by_status)))


def _by_status(row: tuple[str, ...]) -> tuple[str, str]:
    return row[1], row[0]


def _events() -> Section:
    rows = [
        (f"`{name}`", kind.badge or "–", ", ".join(sorted(kind.members)) or "–", kind.wordings[-1].text)
        for name, kind in EVENTS.items()
    ]
    text = f"Facts that any entry may carry: {', '.join(sorted(COMMON))}. No entry carries a value of the data."
    return Section(
        "Events of the access log", text, ("event", "badge", "facts of its own", "what it tells"), tuple(rows)
    )


def _life_cycle() -> Section:
    rows = [(f"`{state}`", f"`{act}`", f"`{after}`") for (state, act), after in NEXT.items()]
    text = "What can happen to a consent in each state. What is not in the table cannot happen."
    return Section("Life of a consent", text, ("state", "what happens", "then"), tuple(rows))


def _metrics() -> Section:
    rows = [(f"`{name}`", found.kind, _listed(found.labels) or "–", found.help) for name, found in METRICS.items()]
    text = "What `GET /metrics` tells, where `metrics_address` is set; `gateway/docs/operating.md` says how to use it."
    return Section("Metrics", text, ("metric", "kind", "labels", "what it tells"), tuple(rows))
