"""nginx: static files, and X-Accel-Redirect behind an application."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

from kit.testing.servers import find_program, free_port
from loadtest.bench.peers import Peer
from loadtest.bench.processes import Process, wait_for

# The fastest configuration for this load: no access log, open files kept, connections kept. `sendfile_max_chunk` is
# this version's default (2 MiB since 1.21.4); `tcp_nopush` stays off, because with it small ranges on kept connections
# waited 40 ms each.
_CONFIGURATION = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    open_file_cache max=100;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    {upstream}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        {locations}
    }}
}}
"""
_STATIC = "root {root};"
_UPSTREAM = "upstream app {{ server 127.0.0.1:{port}; keepalive 64; }}"
_ACCEL = """\
location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        location /internal/ {{ internal; alias {root}/; }}
"""


def _start(peer: Peer, upstream: str, locations: str) -> Process:
    """Start an nginx with these parts of its configuration."""
    folder = peer.place.folder / peer.name
    folder.mkdir(exist_ok=True)
    account = pwd.getpwuid(os.geteuid()).pw_name
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            # As root it would run its worker as another user, who may not enter the folder of the files.
            user=f"user {account};" if os.geteuid() == 0 else "",
            folder=folder,
            port=peer.port,
            upstream=upstream,
            locations=locations,
        )
    )
    command = [str(program()), "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
    return Process(peer.name, command, peer.place.server_cores).start()


def program() -> Path:
    """Return the path of nginx.

    Raises:
        ServerError: it is not installed.
    """
    return find_program("nginx", "nginx")


class NginxStatic(Peer):
    """nginx serving the files from disk with sendfile."""

    name = "nginx"
    title = "nginx, static sendfile"
    description = (
        "one worker, `sendfile on`, `access_log off`, `open_file_cache`, kept connections; `tcp_nopush off`, which is"
        " the faster way with small ranges"
    )

    def start(self) -> None:
        """Start it."""
        self.port = free_port()
        self.processes = [_start(self, "", _STATIC.format(root=self.place.media.root))]
        wait_for(self.processes[0], f"/{self.place.media.clip.reference}", self.port)


class NginxAccel(Peer):
    """nginx serving the files that a FastAPI application names."""

    name = "x-accel"
    title = "nginx, X-Accel-Redirect after FastAPI"
    description = (
        "the same nginx asks a FastAPI application over a kept connection which file to send; both are counted"
    )

    def start(self) -> None:
        """Start the application and nginx."""
        self.port, app_port = free_port(), free_port()
        command = [sys.executable, "-m", "loadtest.bench.peers.asgi", "accel", str(app_port), "-"]
        app = Process("x-accel-app", command, self.place.server_cores).start()
        locations = _ACCEL.format(root=self.place.media.root)
        self.processes = [app, _start(self, _UPSTREAM.format(port=app_port), locations)]
        wait_for(app, "/any", app_port)
        wait_for(self.processes[1], f"/{self.place.media.clip.reference}", self.port)
