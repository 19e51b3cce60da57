"""nginx in three parts: the data server, the plain reverse proxy, and the proxy that asks at each use."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bench.documents import Document
from tests.bench.processes import Group

_FRAME = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 100000000;
    keepalive_timeout 60s;
    large_client_header_buffers 8 16k;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
{http}
}}
"""

_DATA = """
    open_file_cache max=100;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
{locations}
    }}
"""
_LOCATION = """        location = {path} {{ default_type {media_type}; alias {file}; }}
"""

# Buffers that hold the largest answer: what a proxy writes to a file would be measured as its disk.
_UPSTREAM = """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffers 64 32k;
    proxy_max_temp_file_size 0;
    upstream data {{ server 127.0.0.1:{data_port}; keepalive 64; keepalive_requests 100000000; }}
"""
_PROXY = """
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{ proxy_pass http://data; }}
    }}
"""
# As a configuration of three lines does it: HTTP/1.0 and a new connection with each request.
_SHIPPED = """
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{ proxy_pass http://127.0.0.1:{data_port}; }}
    }}
"""
_ASKING = """
    upstream issuer {{ server 127.0.0.1:{issuer_port}; keepalive 64; keepalive_requests 100000000; }}
    map $http_authorization $shown {{ "~^Bearer (?<token>[A-Za-z0-9._~+/-]+=*)$" $token; default ""; }}
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{ auth_request /ask; proxy_pass http://data; }}
        location = /ask {{
            internal;
            proxy_method POST;
            proxy_set_header Content-Type application/x-www-form-urlencoded;
            proxy_set_header Authorization "Basic {credentials}";
            proxy_set_header Host 127.0.0.1:{issuer_port};
            proxy_set_body "token=$shown&token_type_hint=access_token";
            proxy_pass http://issuer/token/introspection;
        }}
    }}
"""


def version() -> str:
    return subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]


def data_server(group: Group, name: str, on: int, port: int, documents: Mapping[str, Document], files: Path) -> int:
    """Its process id. `files`: where `documents` are written by name."""
    locations = "".join(
        _LOCATION.format(path=document.path, media_type=document.media_type, file=files / key)
        for key, document in documents.items()
    )
    return _started(group, name, on, port, _DATA.format(port=port, locations=locations))


def plain_proxy(group: Group, on: int, port: int, data_port: int) -> int:
    return _started(group, "nginx-proxy", on, port, _UPSTREAM.format(data_port=data_port) + _PROXY.format(port=port))


def shipped_proxy(group: Group, on: int, port: int, data_port: int) -> int:
    """The same by nginx's own defaults; measured to be looked at, not to be compared with."""
    return _started(group, "nginx-shipped", on, port, _SHIPPED.format(port=port, data_port=data_port))


def asking_proxy(group: Group, on: int, port: int, data_port: int, issuer_port: int, credentials: str) -> int:
    """auth_request: one introspection with each request, kept nowhere."""
    asking = _ASKING.format(port=port, issuer_port=issuer_port, credentials=credentials)
    return _started(group, "nginx-asking", on, port, _UPSTREAM.format(data_port=data_port) + asking)


def _started(group: Group, name: str, on: int, port: int, http: str) -> int:
    folder = group.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""  # the workers read our files; they serve loopback only
    (folder / "nginx.conf").write_text(_FRAME.format(folder=folder, user=user, http=http))
    command = ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    return group.start(name, command, on=on, port=port).pid
