"""What client and server agree on: metadata keys of errors, and the form of points in time."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

ERROR_CODE_KEY: Final = "marquee-error-code"
"""Key of the trailing metadata that holds an `ErrorCode`."""
ERROR_DETAILS_KEY: Final = "marquee-error-details"
"""Key of the trailing metadata that holds the error's details as JSON."""

DEFECT: Final = "internal error"
"""Details of the status INTERNAL when a handler crashed; gRPC itself has others for calls whose connection broke."""


def timestamp(moment: datetime) -> Timestamp:
    """Convert a point in time to protobuf."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message
