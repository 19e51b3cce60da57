"""OpenAPI 3.1 and 3.0 (and Swagger 2.0): the calls that only read, with their parameters and answers."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.formats.drafting import files, guesses, proofs
from gateway.formats.drafting.nodes import Remark, Unreadable, ascii_words, many, singular, snake, type_name
from gateway.formats.drafting.reading import AnswerShape, ParameterDraft, Reading
from gateway.formats.drafting.references import Pointer, References
from gateway.formats.drafting.schemas import Schemas, Spot

_JSON = re.compile(r"application/([A-Za-z0-9.+-]+\+)?json\b.*")
_ACCOUNT = set(
    "account compte contract contrat line ligne msisdn meter point policy police card member customer".split()
)
_ACCOUNT |= {"subscription", "servicepoint", "usagepoint", "pdl", "prm", "iban"}

_OTHER = set(
    "consent payment basket authorisation authorization statement transaction order invoice plan product".split()
)
_MACHINERY = set(
    "consent consents authorisation authorisations authorization authorizations baskets confirmations".split()
)

PAGE = {"page", "pagenumber", "pagenum", "pageindex", "p"}
OFFSET = {"offset", "skip", "startindex", "start_index"}
CURSOR = {"cursor", "pagetoken", "nexttoken", "continuation", "continuationtoken", "pageafter", "startingafter"}
SIZE = {
    "limit",
    "size",
    "pagesize",
    "perpage",
    "pagelimit",
    "maxresults",
    "count",
    "top",
    "take",
    "rows",
    "pagecount",
    "itemsperpage",
}
FIELDS = {"fields", "select", "fieldset"}
_FROM = {"from", "since", "start", "begin", "after", "oldest", "min", "earliest", "depuis", "debut"}
_TO = {"to", "until", "end", "before", "newest", "max", "latest", "fin", "jusqu"}
_CHANGES = {"updated", "modified", "changed"}  # of the record in the organisation's books, not of what it tells
_DATES = {"date", "datetime", "time", "timestamp", "day", "booking"}


def read(path: Path, only: list[str]) -> Reading:
    """`only`: paths that contain one of these words; empty: all. Raises Unreadable."""
    document = files.document(path)
    if not isinstance(document, Mapping) or not ("openapi" in document or "swagger" in document):
        raise Unreadable(
            f"{path}: is no OpenAPI description (no `openapi: 3…` in it); for a JSON Schema write --schema"
        )
    reading = Reading("json")
    references = References(path, document)
    info = document.get("info")
    reading.title = str(info.get("title", "")) if isinstance(info, Mapping) else ""
    reading.server, before = _server(document)
    base = _base(before)
    if before.rstrip("/") and not base:
        what = "a path in front of every call that is no plain one, or has a variable without a value"
        reading.notes.append(Remark("servers", what, "write it in front of each path of [[format.calls]]"))
    reading.proof = proofs.proof(references, document, reading.server, reading.notes.append)
    reader = _Calls(references, reading, base)
    paths = document.get("paths")
    for route, item in paths.items() if isinstance(paths, Mapping) else ():
        if not only and set(ascii_words(str(route))) & _MACHINERY:
            reader.machinery.append((route, item))
        elif not only or any(word in str(route) for word in only):
            reader.read(str(route), item, references.root / "paths" / route)
    if not reading.answers:
        for route, item in reader.machinery:
            reader.read(route, item, references.root / "paths" / route)
    elif reader.machinery:
        reader.left["path about consents and authorisations (--only consents to have them)"] = len(reader.machinery)
    if not reading.answers:
        of = f" with {' or '.join(only)} in it" if only else ""
        raise Unreadable(
            f"{path}: no GET path{of} answers 200 with JSON; for one of its types write "
            f"--schema {path} --root '#/components/schemas/NAME'"
        )
    _agree(reading)
    _place(reading)
    version = document.get("openapi") or document.get("swagger")
    reading.told.append(f"OpenAPI {version}: {many(len(reading.answers), 'call')} read as JSON")
    if reader.left:
        reading.told.append(f"left out: {', '.join(many(count, why) for why, count in reader.left.items())}")
    return reading


def _agree(reading: Reading) -> None:
    """What is the account in one path is the account in all that begin alike, and no id of the app's choice."""
    of_accounts = {answer.path.partition("{account}")[0] for answer in reading.answers
                   if "{account}" in answer.path and "?" not in answer.asks}  # fmt: skip
    for answer in reading.answers:
        begin, _, rest = answer.path.partition("{")
        word, _, behind = rest.partition("}")
        # what a path ends with is the id of a record
        if word != "account" and behind and begin in of_accounts and "{account}" not in answer.path:
            answer.path = f"{begin}{{account}}{behind}"
            if answer.asks:
                answer.asks = answer.asks.replace(f"{{{word}}}", "{account}", 1)


def _place(reading: Reading) -> None:
    """Where all calls begin with one path to the customer, that is said once, and the calls go on behind it."""
    begins = {answer.asks.partition("/{customer}/")[0] if "/{customer}/" in answer.asks else None
              for answer in reading.answers}  # fmt: skip
    begin = begins.pop()
    if begins or begin is None or not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", begin):
        return
    reading.person = f"{begin}/{{customer}}"
    for answer in reading.answers:
        rest = answer.asks.removeprefix(reading.person)
        answer.path = answer.path.removeprefix(begin)
        answer.asks = rest if rest != answer.path else ""


class _Calls:
    def __init__(self, references: References, reading: Reading, base: str) -> None:
        self.references, self.reading, self.base = references, reading, base
        self.schemas = Schemas(references, reading.notes.append)
        self.left: dict[str, int] = {}
        self.machinery: list[tuple[Any, Any]] = []  # paths with which an app is allowed in; no data of a person
        self._headers: set[str] = set()

    def read(self, route: str, item: Any, place: Pointer) -> None:
        """Adds the answer of this path, if it has one, or says why not."""
        try:
            item, place = self.references.resolved(item, place)
            operation = item.get("get") if isinstance(item, Mapping) else None
            if not isinstance(operation, Mapping):
                self._leave("path that cannot be read, only written")
                return
            schema, where = self._schema(operation, place / "get" / "responses")
        except LookupError as problem:
            self._note(place, f"a reference that {problem.args[0]}", "this call is left out; write it by hand")
            return
        if schema is None:
            self._leave("path without an answer 200 in JSON")
            return
        parameters = list(self._parameters(item, operation, place))
        words = [word for word in route.split("/") if word and "{" not in word]
        words = [word for word in words if not re.fullmatch(r"v\d+", word)]
        node = self.schemas.node(schema, Spot(where, type_name(singular(words[-1]) if words else "Record")))
        answer = AnswerShape(self._name(route), node, route=route, said=_said(operation))
        self._address(answer, route, parameters)
        for parameter, at in parameters:
            self._parameter(answer, parameter, at)
        self.reading.answers.append(answer)

    def _schema(self, operation: Mapping[str, Any], place: Pointer) -> tuple[Any, Pointer]:
        responses = operation.get("responses")
        if not isinstance(responses, Mapping):
            return None, place
        code = next((code for code in ("200", 200, "2XX", "203") if code in responses), None)
        response, place = self.references.resolved(responses.get(code), place / code)
        if not isinstance(response, Mapping):
            return None, place
        headers = response.get("headers")
        self.reading.linked |= isinstance(headers, Mapping) and any(str(name).lower() == "link" for name in headers)
        if "schema" in response:  # Swagger 2.0
            return response["schema"], place / "schema"
        content = response.get("content")
        for media, part in content.items() if isinstance(content, Mapping) else ():
            if _JSON.fullmatch(str(media)) and isinstance(part, Mapping) and "schema" in part:
                kind = str(media).partition(";")[0].strip()
                if kind not in self.reading.media_types:
                    self.reading.media_types.append(kind)
                return part["schema"], place / "content" / media / "schema"
        return None, place

    def _parameters(
        self, item: Mapping[str, Any], operation: Mapping[str, Any], place: Pointer
    ) -> Iterator[tuple[Mapping[str, Any], Pointer]]:
        found: dict[tuple[str, str], tuple[Mapping[str, Any], Pointer]] = {}
        for holder, at in ((item, place), (operation, place / "get")):
            listed = holder.get("parameters")
            for number, part in enumerate(listed if isinstance(listed, list) else ()):
                try:
                    value, where = self.references.resolved(part, at / "parameters" / number)
                except LookupError as problem:
                    self._note(at / "parameters" / number, f"a reference that {problem.args[0]}", "left out")
                    continue
                if isinstance(value, Mapping):
                    found[str(value.get("in")), str(value.get("name"))] = value, where
        return iter(found.values())

    def _address(self, answer: AnswerShape, route: str, parameters: list[tuple[Mapping[str, Any], Pointer]]) -> None:
        """The path with the gateway's word for the account, and the account in the query where it stands there."""
        names = re.findall(r"\{([^{}]*)\}", route)
        customer = self._customer(names)
        names = [name for name in names if name != customer]
        single = names[0] if len(names) == 1 and not set(ascii_words(names[0])) & _OTHER else ""
        account = next((name for name in names if _of_account(name)), single or _of_customer(names))
        own = len(names) == 1 and not _of_account(account) and route.rstrip("/").endswith("}")
        path = self.base + route.replace("{" + customer + "}", "{customer}") if customer else self.base + route
        for name in names:
            word = "account" if name == account and not own else re.sub("[^a-z_]", "", snake(name)) or "id"
            path = path.replace("{" + name + "}", "{" + word + "}", 1)
        answer.path = path
        if customer:  # the app does not know her: her link does
            answer.asks, answer.why_asks = path, "the customer stands in the path, and her link knows that"
            answer.path = path.replace("/{customer}", "", 1)
        if "{account}" in path:
            return
        for parameter, _ in parameters:
            name = str(parameter.get("name"))
            if parameter.get("in") == "query" and parameter.get("required") and _of_account(name):
                answer.asks = f"{path}?{name}={{account}}"
                answer.path = f"{answer.path.rstrip('/')}/{{account}}"
                answer.why_asks = "the account stands in the query"
                return

    def _customer(self, names: list[str]) -> str:
        """The word of a path that names the customer, where a link knows one; "": none."""
        proof = self.reading.proof
        return _of_customer(names) if proof is not None and proof.knows_customer else ""

    def _parameter(self, answer: AnswerShape, parameter: Mapping[str, Any], place: Pointer) -> None:
        name, stands = str(parameter.get("name")), parameter.get("in")
        if stands in ("header", "cookie"):
            standard = name.lower() in ("authorization", "accept", "content-type") or name in self._headers
            if parameter.get("required") and not standard:
                self._headers.add(name)
                instead = "write it into headers of [connection], unless it is a secret or says who the person is"
                missing = "a declaration has no words for it"
                self._note(
                    place,
                    f"a {stands} that every call must have: {name}",
                    instead if stands == "header" else missing,
                )
            return
        if stands != "query" or f"{name}={{account}}" in answer.asks:
            return
        schema = parameter.get("schema", parameter)
        try:
            schema, _ = self.references.resolved(schema, place / "schema")
        except LookupError:
            schema = {}
        found = guessed(name, schema if isinstance(schema, Mapping) else {}, str(parameter.get("description") or ""))
        if found is None:
            must = "; the organisation demands it: put its value into `asks`" if parameter.get("required") else ""
            self._note(
                place, f"the parameter {name} narrows by what the gateway cannot judge", f"left out, so refused{must}"
            )
            return
        before = self.reading.parameters.setdefault(name, found)
        if before.keys.get("as") != found.keys.get("as"):
            self._note(
                place, f"the parameter {name} means something else in another call", "the first meaning is written"
            )
            return
        answer.query.append(name)

    def _name(self, route: str) -> str:
        words = [
            snake(word) for word in route.split("/") if word and "{" not in word and not re.fullmatch(r"v\d+", word)
        ]
        name = "_".join(words[-2:] if len(words) > 1 else words) or "records"
        if route.rstrip("/").endswith("}"):
            name = f"{name}_one"
        taken = {answer.name for answer in self.reading.answers}
        return next(each for each in (name, *(f"{name}_{number}" for number in range(2, 10_000))) if each not in taken)

    def _note(self, place: Pointer, what: str, instead: str) -> None:
        self.reading.notes.append(Remark(str(place), what, instead))

    def _leave(self, why: str) -> None:
        self.left[why] = self.left.get(why, 0) + 1


def guessed(name: str, schema: Mapping[str, Any], said: str) -> ParameterDraft | None:
    """What a query parameter means, by its name, type, format and description. None: nothing the gateway can judge."""
    words = ascii_words(name)
    joined = "".join(words)
    for names, way in ((PAGE, "page"), (OFFSET, "offset"), (CURSOR, "cursor")):
        if joined in names:
            return ParameterDraft({"as": "page"}, "by its name", way)
    if joined in SIZE and schema.get("type", "integer") in ("integer", "number", "string"):
        most = schema.get("maximum")
        return ParameterDraft({"as": "size", "most": most if isinstance(most, int) else 100}, "by its name")
    if joined in FIELDS:
        return ParameterDraft({"as": "fields"}, "by its name")
    kind = schema.get("type")
    values = schema.get("enum") or (["true", "false"] if kind == "boolean" else None)
    if isinstance(values, list) and values:
        texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        return ParameterDraft({"as": "choice", "values": texts[:50]}, "by its values")
    way = _bound(words, schema)
    if way:
        written = _written(words, schema, said)
        keys: dict[str, Any] = {"as": way, "written": written}
        if way == "to" and written in ("date", "month"):
            keys["included"] = True
        return ParameterDraft(keys, "by its name and format")
    return None


def _bound(words: list[str], schema: Mapping[str, Any]) -> str:
    found = set(words)
    timely = bool(found & _DATES) or schema.get("format") in ("date", "date-time") or len(words) == 1
    if found & _CHANGES or not timely:
        return ""
    if found & _FROM and not found & _TO:
        return "from"
    return "to" if found & _TO and not found & _FROM else ""


def _written(words: list[str], schema: Mapping[str, Any], said: str) -> str:
    form, joined = str(schema.get("format", "")), "".join(words)
    if form in ("date", "date-time"):
        return {"date": "date", "date-time": "rfc3339"}[form]
    if schema.get("type") in ("integer", "number"):
        return "epoch-ms" if "ms" in words or "milli" in said.lower() else "epoch-s"
    if any(isinstance(value, str) and "datetime" in value.lower() for key, value in schema.items() if key[:2] == "x-"):
        return "rfc3339"
    if "month" in joined or "yyyy-mm " in f"{said.lower()} ":
        return "month"
    return "date" if "date" in joined and "time" not in joined else "rfc3339"


def _of_customer(names: list[str]) -> str:
    """The word of a path that names a customer; "": none."""
    return next((name for name in names if set(ascii_words(name)) & guesses.CUSTOMERS), "")


def _of_account(name: str) -> bool:
    words = ascii_words(name)
    return bool(set(words) & _ACCOUNT) or bool(_ACCOUNT & {"".join(words[:2])})


def _server(document: Mapping[str, Any]) -> tuple[str, str]:
    """(address of the first server without its path; that path, which is in front of every call)"""
    if "swagger" in document:
        schemes = document.get("schemes")
        scheme = str(schemes[0]) if isinstance(schemes, list) and schemes else "https"
        host, base = str(document.get("host") or ""), str(document.get("basePath") or "")
        return (f"{scheme}://{host}" if host else ""), base
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], Mapping) else {}
    address = _filled(str(first.get("url") or ""), first.get("variables"))
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", ""
    host = f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc and "{" not in parts.netloc else ""
    return host, parts.path


def _filled(address: str, variables: Any) -> str:
    """With what the description gives its variables where nobody says otherwise (OpenAPI 3.1, 4.8.6)."""
    for name, variable in variables.items() if isinstance(variables, Mapping) else ():
        if isinstance(variable, Mapping) and isinstance(variable.get("default"), str):
            address = address.replace(f"{{{name}}}", variable["default"])
    return address


def _base(path: str) -> str:
    """A plain one, without the slash at its end; "": it is none."""
    path = path.rstrip("/")
    return path if re.fullmatch(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+)+", path) else ""


def _said(operation: Mapping[str, Any]) -> str:
    said = operation.get("summary") or operation.get("description") or ""
    return " ".join(said.split()) if isinstance(said, str) else ""
