"""Signatures against botocore's, and objects over the wire from a server that checks them."""

from __future__ import annotations

import os
import string
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kit.origins import Endpoint, Object, OriginDeniedError, OriginMissingError, Origins, OriginSettings, parse
from kit.origins.sigv4 import Credentials, encode_key, encode_query, presign, sign
from kit.testing.servers import S3Server

NOW = datetime(2026, 11, 21, 10, 30, 15, tzinfo=UTC)
CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-3")
DATA = os.urandom(300_000)
keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=60)


def boto() -> BotoCredentials:
    return BotoCredentials(CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key)


@given(
    key=keys,
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE"]),
    query=st.dictionaries(st.text(string.ascii_letters + "-", min_size=1), st.just("") | keys, max_size=3),
    body=st.binary(max_size=20),
    fields=st.dictionaries(
        st.sampled_from(["content-md5", "x-amz-meta-marquee-write", "if-none-match"]), st.sampled_from(["a", "b c"])
    ),
)
def test_headers_are_signed_as_botocore_signs_them(
    key: str, method: str, query: dict[str, str], body: bytes, fields: dict[str, str]
) -> None:
    path, text = f"/films/{encode_key(key)}", encode_query(query)
    payload = sha256(body).hexdigest()
    ours = sign(CREDENTIALS, method, "s3.example:9000", path, NOW, query=text, payload_sha256=payload, fields=fields)
    request = AWSRequest(
        method, f"http://s3.example:9000{path}?{text}", headers={"Host": "s3.example:9000"} | fields, data=body
    )
    request.context["timestamp"] = NOW.strftime("%Y%m%dT%H%M%SZ")
    request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth(boto(), "s3", CREDENTIALS.region)
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert ours["Authorization"].endswith(f"Signature={signature}")
    assert ours["x-amz-content-sha256"] == payload
    assert f"Credential=AKIDEXAMPLE/20261121/{CREDENTIALS.region}/s3/aws4_request" in ours["Authorization"]


@given(key=keys, query=st.dictionaries(st.text(string.ascii_lowercase, min_size=1), keys, max_size=3))
def test_addresses_are_signed_as_botocore_signs_them(key: str, query: dict[str, str]) -> None:
    path = f"/films/{encode_key(key)}"
    ours = presign(CREDENTIALS, "s3.example", path, NOW, expires_sec=60, query=query)
    pairs = dict(parse_qsl(ours, keep_blank_values=True, strict_parsing=True))
    signature = pairs.pop("X-Amz-Signature")
    text = ours.rpartition("&X-Amz-Signature=")[0]
    request = AWSRequest("GET", f"https://s3.example{path}?{text}", headers={"Host": "s3.example"})
    request.context["timestamp"] = pairs["X-Amz-Date"]
    signer = S3SigV4QueryAuth(boto(), "s3", CREDENTIALS.region, expires=60)
    request.context["payload_signing_enabled"] = False
    canonical = signer.canonical_request(request)
    assert signature == signer.signature(signer.string_to_sign(request, canonical), request)


def test_secrets_are_not_shown() -> None:
    assert CREDENTIALS.secret_access_key not in repr(CREDENTIALS)


def test_where_objects_are() -> None:
    endpoint = Endpoint.of("http://minio:9000/s3/", None)
    assert str(endpoint.locate(Object("films", "a b/영.mp4"))) == "http://minio:9000/s3/films/a%20b/%EC%98%81.mp4"
    assert (
        str(OriginSettings.model_validate({"s3_region": "eu-west-3"}).s3_endpoint().url)
        == "https://s3.eu-west-3.amazonaws.com/"
    )


def settings(server: S3Server, **changed: object) -> OriginSettings:
    known: dict[str, object] = {
        "s3_endpoint_url": server.url,
        "s3_access_key_id": server.access_key_id,
        "s3_secret_access_key": SecretStr(server.secret_access_key),
    }
    return OriginSettings.model_validate(known | changed)


@pytest.fixture
async def origins(s3_server: S3Server) -> AsyncIterator[Origins]:
    origins = Origins(settings(s3_server))
    yield origins
    await origins.close()


@pytest.fixture
def bucket(s3_server: S3Server) -> Path:
    folder = s3_server.buckets / "kit-films"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("name", ["a.mp4", "folder/a b+c&d=e~f.mp4", "영화/하나.mp4", "100%.mp4"])
async def test_any_range_of_an_object(origins: Origins, bucket: Path, name: str) -> None:
    path = bucket / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(DATA)
    reference = parse(f"s3://kit-films/{name}")
    assert isinstance(reference, Object)
    file = await origins.open(reference)
    assert file.info.size == len(DATA)
    for offset, count in ((0, len(DATA)), (0, 1), (1000, 5000), (len(DATA) - 1, 1)):
        assert b"".join([b async for b in file.blocks(offset, count)]) == DATA[offset : offset + count]


async def test_objects_that_are_not_there(origins: Origins, bucket: Path) -> None:
    for key in (f"{bucket.name}/none", "absent/none"):
        reference = parse(f"s3://{key}")
        assert isinstance(reference, Object)
        with pytest.raises(OriginMissingError):
            await origins.open(reference)


@pytest.mark.parametrize("changed", [{"s3_secret_access_key": SecretStr("wrong")}, {"s3_access_key_id": "unknown"}])
async def test_who_may_not_read(s3_server: S3Server, bucket: Path, changed: dict[str, object]) -> None:
    (bucket / "a.mp4").write_bytes(DATA)
    stranger = Origins(settings(s3_server, **changed))
    with pytest.raises(OriginDeniedError):
        await stranger.open(Object("kit-films", "a.mp4"))
    await stranger.close()


async def test_presigned_addresses_are_good_for_their_object_and_a_while(s3_server: S3Server, bucket: Path) -> None:
    (bucket / "a b.mp4").write_bytes(DATA)
    (bucket / "other.mp4").write_bytes(DATA)
    endpoint = settings(s3_server).s3_endpoint()
    url = endpoint.presigned(Object("kit-films", "a b.mp4"), 60, {"response-content-type": "video/mp4"})
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).content == DATA
        assert (await client.get(url.replace("a%20b", "other"))).status_code == 403
        parts = urlsplit(url)
        assert (await client.get(f"{parts.scheme}://{parts.netloc}{parts.path}")).status_code in {400, 403}
        assert endpoint.credentials is not None
        for age_sec, statuses in ((0, {200}), (120, {400, 403})):
            then = datetime.now(UTC) - timedelta(seconds=age_sec)
            query = presign(endpoint.credentials, parts.netloc, parts.path, then, expires_sec=60, query={})
            answer = await client.get(f"{parts.scheme}://{parts.netloc}{parts.path}?{query}")
            assert answer.status_code in statuses
