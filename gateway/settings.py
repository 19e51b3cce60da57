"""Every setting of a running gateway, in one frozen object.

They are read from AVAL_* environment variables and one optional TOML file (AVAL_CONFIG); variables win.
`aval settings` prints them. With unsafe settings the gateway refuses to start in production:
`unsafe()` says which and why.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from gateway.compiled import INTERPRETED

PREFIX = "AVAL_"
NO_SETTINGS = frozenset({"AVAL_CONFIG", INTERPRETED, "AVAL_PYTHON"})  # the last is examples/deploy/secrets.sh's
Language = Literal["fr", "en"]
MARK = "log.high-water"  # among the keys
# Connections of one process besides those for pages: three of the data plane (one reads and listens for changes, one
# writes, one is for compiling what was agreed); one that says that the process lives; one for each of the two leads.
# All of them past a pooler.
BESIDES = 6
_DIVIDED = "divided among the processes that serve one database"
LANGUAGES: tuple[Language, ...] = get_args(Language)  # that pages, policies and declarations speak


class _TomlFile(PydanticBaseSettingsSource):
    """The file named by AVAL_CONFIG. An unknown key is an error, so that a mistyped setting is not ignored."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = os.environ.get("AVAL_CONFIG")
        if not path:
            return {}
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))


class _UnknownVariables(PydanticBaseSettingsSource):
    """Gives nothing: an AVAL_ variable that is none of ours is an error, as an unknown key of the file is."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
        named = {name: name.upper() for name in sorted(os.environ) if name.upper().startswith(PREFIX)}
        if faults := [_no_such(name, upper, known) for name, upper in named.items() if upper not in known]:
            raise SettingsError("\nsettings: ".join(faults))
        return {}


def _no_such(name: str, upper: str, known: set[str]) -> str:
    near = difflib.get_close_matches(upper, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{name}: there is no such setting; {meant}`aval settings` lists them"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    mode: Literal["development", "production"] = Field(
        "development", description="production refuses to start with unsafe settings"
    )
    public_url: str = Field(
        "http://localhost:8400",
        description="the one address under which people and apps reach the gateway; also the OAuth issuer",
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8400, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    data_dir: Path = Field(
        Path(".aval"), description="folder of the database; also of the keys unless they have their own"
    )
    database_url: str = Field(
        "",
        description="postgresql://user@host/name for any number of processes; several hosts for a fail-over;"
        " empty: SQLite in data_dir, for one process",
    )
    database_password_file: Path | None = Field(None, description="file with the password for database_url")
    database_direct_url: str = Field(
        "", description="only where database_url is a pooler such as pgBouncer: the address of the database past it"
    )
    database_connections: int = Field(
        10, ge=2, le=200, description=f"connections of one process for pages; it has {BESIDES} more"
    )
    processes: int = Field(1, ge=1, le=64, description="processes behind one port; more than one needs database_url")
    keys_dir: Path | None = Field(None, description="folder of the private keys; unset: data_dir/keys")
    key_settle_seconds: int = Field(
        600,
        ge=0,
        le=7 * 86400,
        description="a new token key is accepted and published at once, and signs after this time: longer than the 300"
        " seconds for which others may keep /jwks.json",
    )
    key_rotation_days: int = Field(
        90, ge=0, le=3650, description="for how long a token key signs before the next one does, by itself; 0: for ever"
    )
    sealing_key_file: Path | None = Field(
        None,
        description="file with the key under which the database keeps secrets: 64 hexadecimal digits, such as a systemd"
        " credential; unset: kek.hex in keys_dir",
    )
    sealing_key_variable: str = Field(
        "", description="environment variable that holds that key, in place of a file; its name must not begin by AVAL_"
    )
    sealing_key_command: str = Field(
        "",
        description="command that prints that key, asked once at the start, in place of a file: the client of a key"
        " management service; no shell runs it",
    )
    sealing_key_pkcs11: str = Field(
        "",
        description="key of a hardware module that unwraps kek.wrapped in keys_dir (`aval keys wrap`), in place of a"
        " file: pkcs11:token=NAME;object=KEY?module-path=/usr/lib/module.so&pin-source=file:/etc/aval/pin",
    )
    mark_file: Path | None = Field(
        None,
        description="file that says how far the access log was signed; outside data_dir, so that a backup put back does"
        " not bring an older one along; unset: log.high-water in keys_dir, or data_dir.high-water beside data_dir where"
        " that holds the keys",
    )
    policies_dir: Path | None = Field(
        None, description="folder of purposes, datasets, policies, read again when they change; unset: shipped"
    )
    dynamic_registration: Literal["off", "token", "open"] = Field(
        "off",
        description="whether apps may register themselves at /apps (RFC 7591): token: with an initial access token"
        " of `aval apps invite`; open: anybody",
    )
    dynamic_profiles: tuple[Literal["fapi2", "oauth21", "oidc"], ...] = Field(
        ("fapi2", "oauth21", "oidc"), description="client profiles for which apps may register themselves"
    )
    registrations_per_hour: int = Field(
        60,
        ge=1,
        le=10_000,
        description="registrations and changes at /apps from one network within an hour, whatever becomes of them",
    )
    changed_apps: Literal["go_on", "ask"] = Field(
        "go_on",
        description="what an app that has changed since a person agreed gets for its refresh tokens: go_on, as before; "
        "ask, nothing until she has agreed again; her page of the sharing says that it has changed",
    )
    client_id_documents: bool = Field(
        False,
        description="an app may use the https address of a document about itself as its client_id, without registering"
        " (OAuth Client ID Metadata Document)",
    )
    software_statements_file: Path | None = Field(
        None,
        description="JSON: issuers whose software statements count in a registration, each with `jwks` and, if only"
        " some of its software may register, `software`, a list of software_id; unset: none count",
    )
    operator_name: str = Field("Aval", description="who runs this gateway, as people read it")
    operator_contact: str = Field("", description="mail address or phone for people who cannot use the website")
    default_language: Language = Field("en", description="when neither person nor browser says")
    zone: str = Field("Europe/Paris", description="time zone of calendar days and of counted windows")
    token_seconds: int = Field(300, ge=30, le=300, description="life of an access token; never above five minutes")
    code_seconds: int = Field(60, ge=5, le=60, description="life of an authorization code")
    refresh_grace_seconds: int = Field(
        30,
        ge=0,
        le=120,
        description="for so long a public app that lost the answer to a refresh gets the same new token again, while"
        " unused; a thief of its old one gets it too, unnoticed while in step; 0: any reuse ends the tokens",
    )
    dpop_nonces: bool = Field(
        False,
        description="every DPoP proof must carry a nonce of this gateway: apps ask once more, and no proof can be made"
        " ahead",
    )
    grant_management_action_required: bool = Field(
        False,
        description="every authorization request must say what it does with grants (create, merge, replace): public"
        " apps, which may not say it, are shut out",
    )
    request_seconds: int = Field(90, ge=5, lt=600, description="time in which a pushed request must first be opened")
    ask_seconds: int = Field(3600, ge=300, le=86400, description="time a person has to answer a request once opened")
    answer_seconds: int = Field(
        86400,
        ge=60,
        le=30 * 86400,
        description="time a person has to answer what an app asks while she is not there, unless it asks for less",
    )
    asks_per_day: int = Field(
        10, ge=1, le=1000, description="requests of one app to one person who is not there, within a day"
    )
    silence_days: int = Field(
        182,
        ge=1,
        le=3650,
        description="for so long after a refusal the app cannot ask for the same purpose while she is not there; she"
        " may change it",
    )
    session_hours: int = Field(12, ge=1, le=24 * 30, description="longest life of a sign-in")
    session_idle_minutes: int = Field(60, ge=5, description="a sign-in ends after this long without a page")
    recent_minutes: int = Field(10, ge=1, le=60, description="how young a sign-in must be to share sensitive data")
    majority_age: int = Field(15, ge=13, le=18, description="age from which a person consents alone (GDPR art. 8)")
    tls_certificate_file: Path | None = Field(
        None,
        description="PEM, with what is between it and its root; the port then speaks https; read again when it changes",
    )
    tls_key_file: Path | None = Field(None, description="the key of tls_certificate_file, PEM without a password")
    mtls_port: int = Field(
        0, ge=0, le=65535, description="second port, on which apps are asked for a certificate (RFC 8705); 0: none"
    )
    mtls_public_url: str = Field(
        "", description="the address under which apps that show a certificate reach the gateway; empty: none"
    )
    mtls_ca_file: Path | None = Field(
        None,
        description="CAs (PEM) whose client certificates are believed on mtls_port; unset: none but registered ones",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="networks whose X-Forwarded-For and client_certificate_header are believed; empty: none"
    )
    client_certificate_header: str = Field(
        "",
        description="header in which a trusted proxy passes on the certificate that it was shown at mtls_public_url, as"
        " X-SSL-Client-Cert (escaped PEM), Client-Cert (RFC 9440) or X-Forwarded-Client-Cert; empty: none",
    )
    client_certificate_verify_header: str = Field(
        "",
        description="header in which that proxy says SUCCESS if a CA of its own has signed the certificate, as nginx's"
        " $ssl_client_verify; empty: it does not say",
    )
    client_certificate_proxy_verifies: bool = Field(
        False, description="that proxy lets no certificate pass that no CA of its own has signed"
    )
    outbound_networks: tuple[str, ...] = Field(
        (), description="private networks every outbound call may reach; better: `networks` of one organisation"
    )
    ca_file: Path | None = Field(None, description="additional trust anchors (PEM) for organisations")
    answer_limit_bytes: int = Field(8 * 2**20, ge=2**16, description="largest answer of an organisation held whole")
    stream_limit_bytes: int = Field(2 * 2**30, ge=2**20, description="largest answer of an organisation as a stream")
    total_seconds: float = Field(60.0, gt=0, description="longest whole call to an organisation")
    app_calls_per_minute: int = Field(30_000, ge=0, description=f"data calls of one app; 0: no limit; {_DIVIDED}")
    person_calls_per_minute: int = Field(
        600, ge=0, description=f"data calls of one app for one person; 0: no limit; {_DIVIDED}"
    )
    organisation_calls_per_minute: int = Field(
        60_000, ge=0, description=f"data calls to one organisation, all apps together; 0: no limit; {_DIVIDED}"
    )
    connections: int = Field(4000, ge=0, description="open connections, all together; 0: no limit")
    address_connections: int = Field(256, ge=0, description="open connections of one address; 0: no limit")
    address_heads: int = Field(
        32, ge=0, description="requests of one address whose fields have begun and not ended; 0: no limit"
    )
    metrics_address: str = Field(
        "",
        description="address and port on which GET /metrics tells Prometheus how this gateway does, such as"
        " 127.0.0.1:9400 or [::1]:9400; for those who run it, never for everybody; empty: nothing is measured",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="verbosity of structured logs")
    log_fsync: bool = Field(True, description="access entries reach the disk before data leaves; only a bench says no")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return _UnknownVariables(settings_cls), init_settings, env_settings, _TomlFile(settings_cls)

    @field_validator("sealing_key_variable", "sealing_key_command", "sealing_key_pkcs11")
    @classmethod
    def _one_source(cls, value: str, info: ValidationInfo) -> str:
        if value.upper().startswith(PREFIX):
            raise ValueError(f"{value}: variables that begin by {PREFIX} are settings")
        places = ("sealing_key_file", "sealing_key_variable", "sealing_key_command")
        others = [name for name in places if name != info.field_name and value and info.data.get(name)]
        if others:
            raise ValueError(f"{others[0]} is set as well; name one place")
        return value

    @field_validator("public_url", "mtls_public_url")
    @classmethod
    def _an_origin(cls, url: str, info: ValidationInfo) -> str:
        if info.field_name == "mtls_public_url" and not url:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("write it as https://host or http://localhost:port")
        if parts.path.strip("/") or "?" in url or "#" in url:
            raise ValueError("write the origin only, without a path")
        return url.rstrip("/")

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _of_postgres(cls, url: str) -> str:
        if url and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("write it as postgresql://user@host/name, or leave it empty for SQLite")
        return url

    @field_validator("metrics_address")
    @classmethod
    def _of_a_listener(cls, address: str) -> str:
        plain = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})", address)
        try:
            fits = plain is not None and (ip_address(plain[1] or plain[2]).version == 6) == bool(plain[1])
        except ValueError:
            fits = False
        if address and not (plain and fits and int(plain[3]) <= 65535):
            raise ValueError("write it as 127.0.0.1:9400 or [::1]:9400, or leave it empty for no metrics")
        return address

    @field_validator("client_certificate_header", "client_certificate_verify_header")
    @classmethod
    def _about_certificates(cls, name: str) -> str:
        """Taken away from every request, so it must not be one that requests need."""
        if name and not (re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", name) and re.search("cert|ssl|tls", name.lower())):
            raise ValueError("write the name of a header about certificates, with letters, digits and hyphens")
        return name

    @field_validator("trusted_proxies", "outbound_networks")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            plain_network(network)
        return networks

    @property
    def database(self) -> Path:
        return self.data_dir / "aval.sqlite3"

    @property
    def keys(self) -> Path:
        return self.keys_dir or self.data_dir / "keys"

    @property
    def mark(self) -> Path:
        if self.mark_file:
            return self.mark_file
        return beside(self.data_dir) if self.in_data_dir(self.keys) else self.keys / MARK

    def in_data_dir(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.data_dir.resolve())

    @property
    def policies(self) -> Path:
        return self.policies_dir or shipped_policies()

    @property
    def host_header(self) -> str:
        return urlsplit(self.public_url).netloc

    @property
    def mtls_host_header(self) -> str:
        return urlsplit(self.mtls_public_url).netloc

    @property
    def speaks_tls(self) -> bool:
        return self.tls_certificate_file is not None and self.tls_key_file is not None

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def local(self) -> bool:
        return urlsplit(self.public_url).hostname == "localhost"


def plain_network(text: str) -> IPv4Network | IPv6Network:
    """A network as people write it here: an address, and the length of its prefix. Raises ValueError.

    Not with a mask: 255.0.0.0 and 0.255.255.255 would mean the same, and who mixes up others opens another network.
    """
    if not re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", text):
        raise ValueError(f"{text!r} is not a network; write it as 10.1.0.0/16 or ::1/128")
    return ip_network(text)


def beside(data_dir: Path) -> Path:
    """The mark of a data folder that holds its keys as well: outside, so that no copy of the folder brings it along."""
    folder = Path(os.path.abspath(data_dir))
    return folder.with_name(f"{folder.name}.high-water")


PACKAGED_POLICIES = Path(__file__).parent / "_policies"


def shipped_policies() -> Path:
    """policies/ of a checkout, or the copy inside an installed wheel."""
    beside = Path(__file__).parents[1] / "policies"
    return beside if beside.is_dir() else PACKAGED_POLICIES


def contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """(setting, why and what to do) for each setting that cannot be used beside the others, in whatever mode."""
    if settings.tls_certificate_file and not settings.tls_key_file:
        yield "tls_key_file", "tls_certificate_file needs its key; name that file too"
    if settings.tls_key_file and not settings.tls_certificate_file:
        yield "tls_certificate_file", "tls_key_file needs its certificate; name that file too"
    if settings.speaks_tls and not settings.secure:
        yield "public_url", "the port speaks https (tls_certificate_file), and this is another address; write https://"
    yield from _of_mutual_tls(settings)
    yield from _of_the_header(settings)


def _of_mutual_tls(settings: Settings) -> Iterator[tuple[str, str]]:
    url = settings.mtls_public_url
    if settings.mtls_port and not settings.speaks_tls:
        yield "mtls_port", "it speaks TLS; name tls_certificate_file and tls_key_file"
    if settings.mtls_port and settings.mtls_port == settings.port:
        yield "mtls_port", "browsers must not be asked for certificates; it is another port than `port`"
    if settings.mtls_port and not url:
        yield "mtls_public_url", "mtls_port needs the address under which apps reach it"
    if url and not (settings.mtls_port or settings.client_certificate_header):
        yield "mtls_public_url", "nobody answers there; set mtls_port, or client_certificate_header of a trusted proxy"
    if url and not url.startswith("https://"):
        yield "mtls_public_url", "certificates are shown in TLS only; write https://"
    if url and _authority(url) == _authority(settings.public_url):
        why = "browsers must not be asked for certificates; it is another host or port than public_url"
        yield "mtls_public_url", why


def _authority(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _of_the_header(settings: Settings) -> Iterator[tuple[str, str]]:
    header, verify = settings.client_certificate_header, settings.client_certificate_verify_header
    if header and not settings.trusted_proxies:
        yield "client_certificate_header", "anybody could forge it; name the proxy in trusted_proxies"
    if header and not settings.mtls_public_url:
        yield "mtls_public_url", "client_certificate_header is read only there; name the address"
    if verify and not header:
        yield "client_certificate_verify_header", "it says something of client_certificate_header; name that too"
    if verify and verify.lower() == header.lower():
        yield "client_certificate_verify_header", "it is another header than client_certificate_header"
    if settings.client_certificate_proxy_verifies and (verify or not header):
        why = "the proxy says so of each certificate in client_certificate_verify_header" if verify else "of no header"
        yield "client_certificate_proxy_verifies", f"{why}; leave it false"


def unsafe(settings: Settings) -> Iterator[tuple[str, str]]:
    """(setting, why and what to do) for each setting that production refuses to start with."""
    if settings.mode != "production":
        return
    if not settings.secure:
        yield "public_url", "people's passwords and tokens would travel unencrypted; use https://"
    if settings.local:
        yield "public_url", "localhost is nobody else's address; use the public host name"
    if not settings.log_fsync:
        yield "log_fsync", "an access could be lost in a power cut; leave it true"
    if not settings.operator_contact:
        yield "operator_contact", "people need one way to stop sharing without the website; give an address or phone"
    yield from _in_the_clear(settings)
    if settings.keys_dir is None:
        yield "keys_dir", "keys beside the database die and leak with it; name a folder that backups do not copy"
    if settings.in_data_dir(settings.mark):
        yield "mark_file", "a copy of data_dir put back would bring an older mark along; name a file outside of it"
    for network in settings.outbound_networks:
        yield "outbound_networks", f"{network} would be open to every organisation; list it in that one declaration"


def _in_the_clear(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in ("database_url", "database_direct_url"):
        url = getattr(settings, name)
        if url and not _encrypted(url) and (far := [host for host in _hosts(url) if not _is_here(host)]):
            why = "passwords and what people share would travel unencrypted to"
            yield name, f"{why} {', '.join(far)}; add sslmode=verify-full, or at least sslmode=require, behind a ?"


def _hosts(url: str) -> list[str]:
    given = _parsed(url)
    return str(given.get("hostaddr") or given.get("host") or os.environ.get("PGHOST", "")).split(",")


def _encrypted(url: str) -> bool:
    return _parsed(url).get("sslmode", os.environ.get("PGSSLMODE")) in ("require", "verify-ca", "verify-full")


def _parsed(url: str) -> dict[str, Any]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict  # here: nobody else needs it

    try:
        return {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:
        return {}  # no connection will come of it; the store says why


def _is_here(host: str) -> bool:
    """Whether no network lies between: a socket, or this machine itself."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
