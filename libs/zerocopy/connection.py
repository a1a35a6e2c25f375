"""What a response needs of its connection. The protocol makes responses, so they must not import it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from zerocopy.repeat import Answerer
from zerocopy.sender import Sender

if TYPE_CHECKING:
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState


class Connection(Protocol):
    """The connection that a request came from, as `ZeroCopyProtocol` provides it."""

    transport: asyncio.Transport
    flow: FlowControl
    logger: logging.Logger
    access_logger: logging.Logger
    access_log: bool
    server_state: ServerState
    offers_zero_copy: bool
    """Whether parts of files can be sent into this connection."""

    @property
    def sender(self) -> Sender:
        """Sends parts of files into this connection."""

    @property
    def is_sending(self) -> bool:
        """Whether a part of a file is being sent."""

    def stop_sending(self) -> None:
        """End the sending of a part of a file that had to wait."""

    def remember(self, request: bytes, again: Answerer, tracing: frozenset[bytes]) -> None:
        """Answer the request that has just been answered by `again` when it comes with another range."""

    def on_response_complete(self) -> None:
        """Begin with the next request, or close."""
