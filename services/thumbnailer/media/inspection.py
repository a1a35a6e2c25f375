"""Get information and a thumbnail of a video file from a confined child process that is not trusted."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import re
import signal
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sandbox.run import Child
from services.thumbnailer import domain
from services.thumbnailer.domain import MediaInfo
from services.thumbnailer.media.errors import MediaError

_CHILD: Final = Path(__file__).with_name("child.py")
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_CODEC: Final = re.compile(r"[a-z0-9_]{1,32}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Time and memory that one file may take."""

    wall_sec: float = 60
    cpu_sec: int = 60
    memory_bytes: int = 1024**3
    """Address space of the child. Python with FFmpeg takes 120 MiB before it opens anything, 4K HEVC 30 MiB
    more, a picture of `max_pixels` 170 MiB more; the rest is for reference frames and long sample tables."""
    max_pixels: int = domain.MAX_PIXELS


DEFAULT_LIMITS: Final = Limits()


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe opens without waiting for a writer, which could take for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


async def process(
    source: Path,
    thumbnail: Path,
    limits: Limits = DEFAULT_LIMITS,
    opener: Callable[[str, int], int] = open_without_waiting,
) -> MediaInfo:
    """Return information about a video file, and save a JPEG of 320 pixels' width from its first 10 %, at most 5 s in.

    The thumbnail is written completely or not at all, and replaces an older one; its folder must exist. Cancelling
    kills the child at once; so does the end of the thread that the event loop runs in.

    Args:
        source: the video file.
        thumbnail: where the JPEG goes.
        limits: what the file may take.
        opener: opens the file, as for the built-in `open`.

    Raises:
        MediaError: the file can't be processed; nothing is left behind.
    """
    with await asyncio.to_thread(_open, source, opener) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            answer = await _ask_child(file, limits)
        except OSError:
            raise MediaError.of(domain.SERVER_BUSY) from None
    info, picture = _parse_answer(answer, size, limits)
    await asyncio.to_thread(_save, thumbnail, picture)
    return info


def _open(source: Path, opener: Callable[[str, int], int]) -> IO[bytes]:
    """Open the file here, so that the child needs no right to open files and no name reaches a parser."""
    try:
        file = open(source, "rb", buffering=0, opener=opener)  # noqa: SIM115 - the caller closes it
    except (FileNotFoundError, NotADirectoryError):
        raise MediaError.of(domain.FILE_MISSING) from None
    except IsADirectoryError:
        raise MediaError.of(domain.NOT_A_VIDEO) from None
    except (OSError, ValueError):
        raise MediaError.of(domain.FILE_UNREADABLE) from None
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return file
    file.close()
    raise MediaError.of(domain.EMPTY_FILE if stat.S_ISREG(status.st_mode) else domain.NOT_A_VIDEO)


async def _ask_child(file: IO[bytes], limits: Limits) -> bytes:
    """Run the child on an open file and return its output.

    The child reads the file as standard input and writes to a file whose size is limited: there is no pipe that could
    fill up, block or stay open.
    """
    job = {
        "parent_pid": os.getpid(),
        "cpu_sec": limits.cpu_sec,
        "memory_bytes": limits.memory_bytes,
        "answer_bytes": _MAX_ANSWER_BYTES,
        "max_pixels": limits.max_pixels,
        "max_duration_sec": domain.MAX_DURATION_SEC,
        "width": domain.THUMBNAIL_WIDTH,
    }
    with (
        tempfile.TemporaryDirectory(prefix="marquee-media-") as folder,
        tempfile.TemporaryFile(dir=folder) as answer,
    ):
        command = [sys.executable, "-I", "-B", str(_CHILD), json.dumps(job)]
        child = Child(command, stdin=file.fileno(), stdout=answer.fileno(), cwd=folder)
        try:
            status = await child.wait_async(limits.wall_sec)
        except TimeoutError:
            raise MediaError.of(domain.TIME_LIMIT) from None
        if status != 0:
            raise MediaError.of(_failure_of_status(status))
        answer.seek(0)
        return answer.read(_MAX_ANSWER_BYTES + 1)


def _failure_of_status(status: int) -> str:
    """Return the failure code for an exit status other than 0; negative ones are signals."""
    if status == -signal.SIGXCPU:
        return domain.TIME_LIMIT
    if status in {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}:
        return domain.INTERRUPTED
    return domain.DECODER_CRASHED


def _parse_answer(answer: bytes, size: int, limits: Limits) -> tuple[MediaInfo, bytes]:
    """Validate the output of the child, which has read hostile input; return information and picture.

    Raises:
        MediaError: the failure that the child reports, or DECODER_CRASHED if its output is invalid.
    """
    try:
        result = json.loads(answer)
        if isinstance(code := result.get("failure"), str) and domain.is_failure_code(code):
            raise MediaError.of(code)
        width, height = _whole(result["width"], limits.max_pixels), _whole(result["height"], limits.max_pixels)
        duration = _seconds(result["duration_sec"])
        container, mime_type = domain.container_name(_text(result["container"]))
        audio = result["audio_codec"]
        info = MediaInfo(
            duration_sec=duration,
            mime_type=mime_type,
            container=container,
            video_codec=domain.codec_name(_text(result["video_codec"])),
            audio_codec=None if audio is None else domain.codec_name(_text(audio)),
            width=width,
            height=height,
            bitrate_bps=domain.bitrate_bps(size, duration),
            isolated=result["isolated"] is True,
        )
        return info, _picture(result["jpeg"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MediaError.of(domain.DECODER_CRASHED) from None


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(value)
    return value


def _seconds(value: object) -> float:
    # Also refuses NaN: no comparison with it is true.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= domain.MAX_DURATION_SEC:
        raise ValueError(value)
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not _CODEC.fullmatch(value):
        raise ValueError(value)
    return value


def _picture(value: object) -> bytes:
    """Decode a JPEG from Base64, and check its first and last marker (ITU-T T.81, annex B)."""
    if not isinstance(value, str):
        raise TypeError
    try:
        picture = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(value[:32]) from error
    if not (picture.startswith(b"\xff\xd8\xff") and picture.endswith(b"\xff\xd9")):
        raise ValueError(picture[:4])
    return picture


def _save(target: Path, content: bytes) -> None:
    """Write a file durably and completely, or not at all.

    Raises:
        MediaError: THUMBNAIL_UNWRITABLE.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=".thumbnail-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                # mkstemp makes it readable for the owner only; other services read artwork as another user.
                os.fchmod(descriptor, 0o644)
                os.fsync(descriptor)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError:
        raise MediaError.of(domain.THUMBNAIL_UNWRITABLE) from None
