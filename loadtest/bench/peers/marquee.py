"""Marquee's stream service as a container runs it, and the services that it needs."""

from __future__ import annotations

import secrets
import subprocess
import sys

from kit.ids import new_id
from kit.testing.servers import RabbitServer, RedisServer, free_port
from loadtest.bench.client.jobs import Target
from loadtest.bench.media import MediaFile
from loadtest.bench.peers import Peer, Place
from loadtest.bench.peers.catalog import CatalogData
from loadtest.bench.processes import Process, ProcessError, on_cores, wait_for
from services.auth.credentials.keys import SigningKeys
from services.auth.models import User

VIEWERS = 2500
"""Number of viewers with a token; further connections use the first ones again."""
_TOKEN_SEC = 6 * 3600
_MIGRATE_SEC = 120


class MarqueePeer(Peer):
    """The production entry point with production settings: authorisation, play sessions, metrics, RabbitMQ, Redis.

    The auth service, RabbitMQ and Redis are real, catalog is a stand-in (`catalog.py`); all four run beside the load
    client, on cores that are not measured. Every viewer has their own access token, signed with auth's key, and so
    their own play session.
    """

    name = "marquee"
    title = "Marquee, authorised"
    description = (
        "`python -m services.stream serve` with production settings, the real auth service, RabbitMQ and Redis;"
        " catalog's one answer comes from a stand-in, because the real one takes neither random bytes nor a slow disk"
        " for a film"
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        folder = place.folder / self.name
        folder.mkdir()
        self._rabbit = RabbitServer(folder)
        self._redis = RedisServer(folder)
        self._ticket_key_file = folder / "ticket.key"
        key_file = folder / "signing.json"
        self._authorizations = _authorizations(SigningKeys.load(key_file))
        self._auth_address, self._catalog_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._auth_port = free_port()
        self._auth_environment = {
            "MARQUEE_HTTP_PORT": str(self._auth_port),
            "MARQUEE_GRPC_BIND": self._auth_address,
            "MARQUEE_BROKER_URL": self._rabbit.url,
            "MARQUEE_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'auth.db'}",
            "MARQUEE_SIGNING_KEY_FILE": str(key_file),
            "MARQUEE_ADMIN_PASSWORD": secrets.token_urlsafe(),
        }
        auth = [sys.executable, "-m", "services.auth", "serve"]
        self._auth = Process("auth", auth, place.other_cores, self._auth_environment)
        data = folder / "catalog.json"
        sources = {file.video_id: (file.reference, file.size) for file in place.media.files}
        data.write_text(CatalogData(bind=self._catalog_address, sources=sources).model_dump_json())
        catalog = [sys.executable, "-m", "loadtest.bench.peers.catalog", str(data)]
        self._catalog = Process("catalog", catalog, place.other_cores)

    def start(self) -> None:
        """Start the services that it needs, once, and the service."""
        if not self._rabbit.running:
            self._start_others()
        self.port = free_port()
        environment = {
            "MARQUEE_HTTP_PORT": str(self.port),
            "MARQUEE_GRPC_BIND": f"127.0.0.1:{free_port()}",
            "MARQUEE_AUTH_ADDRESS": self._auth_address,
            "MARQUEE_CATALOG_ADDRESS": self._catalog_address,
            "MARQUEE_BROKER_URL": self._rabbit.url,
            "MARQUEE_MEDIA_URL": self.place.media.root.as_uri(),
            "MARQUEE_REDIS_URL": self._redis.url,
            "MARQUEE_TICKET_KEY_FILE": str(self._ticket_key_file),
            "MARQUEE_MAX_STREAMS": str(10 * VIEWERS),
        }
        command = [sys.executable, "-m", "services.stream", "serve"]
        service = Process(self.name, command, self.place.server_cores, environment)
        self.processes = [service.start()]
        wait_for(service, "/readyz", self.port)
        # After a start, slots granted before may still be in use: the store grants nothing for a while.
        film = f"/api/videos/{self.place.media.clip.video_id}/stream"
        wait_for(service, film, self.port, headers={"Authorization": self._authorizations[0], "Range": "bytes=0-0"})

    def close(self) -> None:
        """Stop all of it."""
        self.stop()
        self._catalog.stop()
        self._auth.stop()
        for server in (self._rabbit, self._redis):
            if server.running:
                server.kill()

    def target(self, file: MediaFile) -> Target:
        """Return the URL of a file, with tokens of viewers who may see it."""
        return Target(
            port=self.port,
            path=f"/api/videos/{file.video_id}/stream",
            file_bytes=file.size,
            authorizations=self._authorizations,
        )

    def _start_others(self) -> None:
        with on_cores(self.place.other_cores):
            self._rabbit.start()
            self._redis.start()
            _migrate(self._auth_environment)
        self._catalog.start()
        self._auth.start()
        wait_for(self._auth, "/readyz", self._auth_port)


def _authorizations(keys: SigningKeys) -> list[str]:
    viewers = [
        User(id=new_id(), role="member", status="active", corporation_id=None, claims_version=0) for _ in range(VIEWERS)
    ]
    return [f"Bearer {keys.mint(viewer, new_id(), _TOKEN_SEC)}" for viewer in viewers]


def _migrate(environment: dict[str, str]) -> None:
    migrated = subprocess.run(
        [sys.executable, "-m", "services.auth", "migrate"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_MIGRATE_SEC,
        check=False,
    )
    if migrated.returncode:
        raise ProcessError(f"auth's database can't be made:\n{migrated.stderr}")
