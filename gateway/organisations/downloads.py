"""A person's own copy of what one organisation holds about her, in the sector's native format.

It is read completely before anything is sent: if a declared type of data is missing, the
manifest, the readme and the page say so. Nothing is kept here afterwards.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from gettext import NullTranslations
from zoneinfo import ZoneInfo

from gateway import exports
from gateway.formats.model import Account, Download, FoundAccount
from gateway.ground.calendar.instants import local_day
from gateway.ground.web.languages import written_day, written_moment
from gateway.ground.web.marks import N_
from gateway.organisations import calls
from gateway.organisations.calls import Line
from gateway.organisations.views import OrganisationView

Labels = Mapping[str, Mapping[str, str]]  # dataset → language → label
README = {"en": "README.txt", "fr": "LISEZMOI.txt"}
ZIP_TYPE = "application/zip"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # names reserved by Windows

# ending of a file → how to open it
OPENING: Mapping[str, str] = {
    "xml": N_("Software for this format reads it; a browser or a text editor shows it."),
    "json": N_("Software for this format reads it; a browser or a text editor shows it."),
    "csv": N_("A spreadsheet opens it."),
    "txt": N_("Any text editor opens it."),
}


@dataclass(frozen=True, slots=True)
class Copy:
    """Everything that was read, with safe names, and what is missing."""

    organisation: OrganisationView
    files: tuple[Download, ...]
    missing: tuple[str, ...]  # datasets that the organisation declares but did not give
    at: datetime

    @property
    def records(self) -> int:
        """How many records there are, each counted once: several files may contain the same records in other forms,
        and one file may contain those of all datasets."""
        most: dict[str, int] = {}
        for file in self.files:
            most[file.dataset] = max(most.get(file.dataset, 0), file.records)
        whole = [count for name, count in most.items() if name not in self.organisation.datasets]
        return max(whole) if whole else sum(most.values())

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(name for name in self.organisation.datasets if name not in self.missing)

    @property
    def single(self) -> bool:
        """Whether it is one dataset in one native file, which needs no archive."""
        return len(self.files) == 1 and not self.missing


def read(line: Line, accounts: Sequence[FoundAccount], now: datetime) -> Copy:
    """Read everything from the organisation. Raises ConnectorError; then there is no copy."""
    organisation = line.organisation
    hers = tuple(Account(account.native, account.native) for account in accounts)  # her own data, its own names
    found = calls.read(line, lambda source: exports.download(source, line.fetch, hers))
    given = {name for file in found for name in covered(organisation, file.dataset)}
    missing = tuple(name for name in organisation.datasets if name not in given)
    return Copy(organisation, _named(found), missing, now)


def covered(organisation: OrganisationView, name: str) -> list[str]:
    """The datasets in a file of dataset `name`: that dataset, or all below it ("energy" for a whole feed)."""
    return [dataset for dataset in organisation.datasets if dataset == name or dataset.startswith(name + ".")]


def _named(files: Sequence[Download]) -> tuple[Download, ...]:
    """The files, renamed so that their names are safe on any system and differ in more than upper and lower case.
    Tables are changed so that no spreadsheet takes a cell for a formula."""
    taken: set[str] = set()
    named = []
    for file in files:
        name = safe_name(file.name)
        stem, dot, ending = name.rpartition(".")
        count = 1
        while name.lower() in taken:
            count += 1
            name = f"{stem}_{count}{dot}{ending}" if dot else f"{ending}_{count}"
        taken.add(name.lower())
        named.append(replace(file, name=name, body=_one_row_each(file)))
    return tuple(named)


def _one_row_each(file: Download) -> bytes:
    """The table, written so that each row stays one row. For a spreadsheet, a carriage return inside an unquoted cell
    begins a new row, which could begin with a formula."""
    return file.body.replace(b"\r", b"") if file.media_type.startswith("text/csv") else file.body


def safe_name(name: str) -> str:
    """One plain ASCII segment; never a path, a hidden file or a device."""
    plain = _UNSAFE.sub("-", name.replace("\\", "/").rsplit("/", 1)[-1]).strip(".-")[-100:].lstrip(".-")
    return f"file-{plain}" if not plain or _DEVICES.fullmatch(plain) else plain


def file_name(copy: Copy) -> str:
    if copy.single:
        return copy.files[0].name
    return f"{copy.organisation.id}-{local_day(copy.at, copy.organisation.zone)}.zip"


def packed(copy: Copy, words: Mapping[str, NullTranslations], labels: Labels) -> bytes:
    """The bytes to send: the one native file, or the archive."""
    if copy.single:
        return copy.files[0].body
    archive = io.BytesIO()
    stamp = copy.at.astimezone(ZoneInfo(copy.organisation.zone)).timetuple()[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:

        def put(name: str, body: bytes) -> None:
            entry = zipfile.ZipInfo(name, stamp)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            writer.writestr(entry, body)

        for language, name in README.items():
            # Windows' Notepad needs both: the byte order mark to recognise UTF-8, and CRLF to show line breaks.
            text = readme(copy, words[language], language, labels).replace("\n", "\r\n")
            put(name, b"\xef\xbb\xbf" + text.encode())
        put("manifest.json", manifest(copy))
        for file in copy.files:
            put(_path(copy, file), file.body)
    return archive.getvalue()


def _path(copy: Copy, file: Download) -> str:
    return f"data/{copy.organisation.id}/{file.name}"


def manifest(copy: Copy) -> bytes:
    """The archive's table of contents, for programs. `missing`: datasets that are declared but were not given."""
    document = {
        "organisation": copy.organisation.id,
        "name": dict(copy.organisation.name),
        "source": copy.organisation.base_url,
        "at": copy.at.astimezone(UTC).isoformat(timespec="seconds"),
        "complete": not copy.missing,
        "missing": [{"organisation": copy.organisation.id, "dataset": name} for name in copy.missing],
        "files": [_entry(copy, file) for file in copy.files],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def _entry(copy: Copy, file: Download) -> dict[str, object]:
    return {
        "organisation": copy.organisation.id,
        "dataset": file.dataset,
        "path": _path(copy, file),
        "media_type": file.media_type,
        "bytes": len(file.body),
        "sha256": hashlib.sha256(file.body).hexdigest(),
        "period": {
            "from": file.start.isoformat() if file.start else None,
            "to": file.end.isoformat() if file.end else None,
        },
        "records": file.records,
        "complete": True,
    }


def readme(copy: Copy, words: NullTranslations, language: str, labels: Labels) -> str:
    """For people: what each file is and how to open it, the period, what is missing, where and when it was read."""
    _, name = words.gettext, copy.organisation.name[language]
    zone = ZoneInfo(copy.organisation.zone)
    moment = written_moment(copy.at.astimezone(zone), language, "long")
    lines = [
        _("Your data at {organisation}").format(organisation=name),
        "",
        _("Read on {moment} from {organisation} ({legal_entity}), by you, for yourself.").format(
            moment=moment, organisation=name, legal_entity=copy.organisation.legal_entity
        ),
        _("Nothing was filtered out: this is all that {organisation} gives about you.").format(organisation=name),
        "",
    ]
    for file in copy.files:
        label = ", ".join(_label(labels, row, language) for row in covered(copy.organisation, file.dataset))
        lines += [_path(copy, file), "  " + _("{label}. Records: {records}.").format(label=label, records=file.records)]
        if file.start and file.end:
            first, last = (written_day(at.astimezone(zone), "long", language) for at in (file.start, file.end))
            lines.append("  " + _("From {first} to {last}.").format(first=first, last=last))
        opening = OPENING.get(file.name.rpartition(".")[2])
        lines += ["  " + _(opening), ""] if opening else [""]
    lines += _left_out(copy, words, language, labels)
    lines.append(_("manifest.json says the same for programs, with a SHA-256 sum for each file."))
    return "\n".join(lines) + "\n"


def _label(labels: Labels, dataset: str, language: str) -> str:
    return labels.get(dataset, {}).get(language, dataset)


def _left_out(copy: Copy, words: NullTranslations, language: str, labels: Labels) -> list[str]:
    if not copy.missing:
        return [words.gettext("Nothing is missing."), ""]
    text = words.gettext("Missing: {label}. {organisation} did not give it this time.")
    name = copy.organisation.name[language]
    return [
        *(text.format(label=_label(labels, row, language), organisation=name) for row in copy.missing),
        "",
    ]
