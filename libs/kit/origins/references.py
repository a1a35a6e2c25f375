"""References to originals. Only catalog creates them; every service parses them here.

videos/<id>/source               the platform's own media store
import:films/A film.mp4          below the folder of imported films, in place
s3://bucket/key                  an object
https://host/path                another HTTP server's file
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from kit.media import InvalidReferenceError, MediaStore

MAX_CHARS = 2000
IMPORT_SCHEME = "import:"
S3_SCHEME = "s3://"
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_MAX_HOST_CHARS = 253
_MAX_KEY_BYTES = 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Percent signs and the characters that RFC 3986, 3.3 and 3.4 allow; the rest is encoded as browsers do.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE = _PATH_SAFE + "?"


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the platform's own media store."""

    reference: str


@dataclass(frozen=True, slots=True)
class Imported:
    """A file below the folder of imported films; `path` is relative to it, without `.`, `..` or empty segments."""

    path: str

    def __str__(self) -> str:
        return IMPORT_SCHEME + self.path


@dataclass(frozen=True, slots=True)
class Object:
    """An object in S3."""

    bucket: str
    key: str

    def below(self, reference: str) -> Object:
        """Return the object of a stored file in a media store with this bucket and prefix; the prefix may be empty.

        Raises:
            InvalidReferenceError: it is not a plain relative reference.
        """
        return Object(self.bucket, MediaStore(Path(self.key)).path(reference).as_posix())

    def __str__(self) -> str:
        return f"{S3_SCHEME}{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute HTTP(S) address in one normal form: without user, fragment, or odd spellings of the host."""

    scheme: str
    host: str
    """Lower case and ASCII; an IPv6 address has no brackets."""
    port: int
    target: str
    """Path and query as sent (RFC 9112, 3.2.1)."""

    @property
    def authority(self) -> str:
        """Return the value of the `Host` field: the host, and the port unless it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def joined(self, location: str) -> Url:
        """Return the target of a redirect from here (RFC 9110, 10.2.2).

        Raises:
            InvalidReferenceError: it is no address that may be followed.
        """
        try:
            return parse_url(urljoin(str(self), location))
        except ValueError as error:
            raise InvalidReferenceError("no usable redirect") from error

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


Reference = Stored | Imported | Object | Url


def parse(text: str) -> Reference:
    """Parse a reference.

    Raises:
        InvalidReferenceError: it is malformed; the text names the fault and quotes nothing.
    """
    if len(text) > MAX_CHARS:
        raise InvalidReferenceError(f"longer than {MAX_CHARS} characters")
    if _HTTP.match(text):
        return parse_url(text)
    if text.startswith(S3_SCHEME):
        return _object(text.removeprefix(S3_SCHEME))
    if text.startswith(IMPORT_SCHEME):
        return Imported(check_path(text.removeprefix(IMPORT_SCHEME)))
    return Stored(text)


def check_path(path: str) -> str:
    """Return a relative path that can't lead out of its folder, except by symbolic links.

    Raises:
        InvalidReferenceError: it is another kind of path.
    """
    if "\x00" in path or any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise InvalidReferenceError("not a plain relative path")
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise InvalidReferenceError("a file name is not UTF-8") from error
    if size > MAX_CHARS - len(IMPORT_SCHEME):
        raise InvalidReferenceError(f"longer than {MAX_CHARS} bytes")
    return path


def parse_url(text: str) -> Url:
    """Return an HTTP(S) address in its normal form.

    Raises:
        InvalidReferenceError: it is malformed, has a user in it, or a host that programs parse differently.
    """
    if len(text) > MAX_CHARS or _FORBIDDEN.search(text):
        raise InvalidReferenceError("malformed address")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InvalidReferenceError("malformed address") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise InvalidReferenceError("only http and https can be read")
    if "@" in parts.netloc:
        raise InvalidReferenceError("an address may not hold a user or a password")
    if parts.fragment or text.endswith("#"):
        raise InvalidReferenceError("an address of a file has no fragment")
    if port == 0 or parts.netloc.endswith(":"):
        raise InvalidReferenceError("malformed port")
    target = quote(parts.path or "/", safe=_PATH_SAFE)
    if parts.query:
        target += f"?{quote(parts.query, safe=_QUERY_SAFE)}"
    url = Url(scheme, _host(parts.netloc, parts.hostname or ""), port or _DEFAULT_PORTS[scheme], target)
    if len(str(url)) > MAX_CHARS:
        raise InvalidReferenceError(f"longer than {MAX_CHARS} characters")
    return url


def _host(netloc: str, host: str) -> str:
    """Return the one accepted spelling of a host: programs disagree about `0177.0.0.1`, `2130706433` and `127.1`."""
    try:
        if netloc.startswith("["):
            if "%" in host:
                raise InvalidReferenceError("an address with a zone")
            return str(IPv6Address(host))
        ascii_host = host.encode("idna").decode().lower().removesuffix(".")
        labels = ascii_host.split(".")
        if _NUMBER.fullmatch(labels[-1]):
            if str(IPv4Address(ascii_host)) != ascii_host:
                raise InvalidReferenceError("an odd spelling of an IP address")
            return ascii_host
    except (AddressValueError, UnicodeError) as error:
        raise InvalidReferenceError("malformed host") from error
    if len(ascii_host) > _MAX_HOST_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidReferenceError("malformed host")
    return ascii_host


def _object(text: str) -> Object:
    bucket, _, key = text.partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise InvalidReferenceError("malformed bucket")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidReferenceError("a key is not UTF-8") from error
    # S3 allows `.` and `..` in keys, but proxies and URL libraries resolve them as folders.
    if not 1 <= size <= _MAX_KEY_BYTES or _FORBIDDEN.search(key) or {".", ".."} & set(key.split("/")):
        raise InvalidReferenceError("malformed key")
    return Object(bucket, key)
