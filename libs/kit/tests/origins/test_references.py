"""References: what is taken, in which one form, and what is refused."""

from __future__ import annotations

import string
from urllib.parse import urlsplit

import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.media import InvalidReferenceError
from kit.origins.references import MAX_CHARS, Imported, Object, Stored, Url, parse, parse_url


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://films.example/a.mp4", "https://films.example/a.mp4"),
        ("HTTPS://Films.EXAMPLE:443/a.mp4", "https://films.example/a.mp4"),
        ("http://films.example:8080", "http://films.example:8080/"),
        ("http://films.example./a?b=c&d", "http://films.example/a?b=c&d"),
        ("http://films.example/a b", "http://films.example/a%20b"),
        ("http://films.example/%41", "http://films.example/%41"),
        ("http://films.example/영화.mp4", "http://films.example/%EC%98%81%ED%99%94.mp4"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://192.0.2.7/", "http://192.0.2.7/"),
        ("http://[2001:DB8::0:1]:81/", "http://[2001:db8::1]:81/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/"),
    ],
)
def test_addresses_have_one_form(text: str, normal: str) -> None:
    assert str(parse(text)) == normal


@pytest.mark.parametrize(
    "text",
    [
        "http://user@films.example/",
        "http://user:password@films.example/",
        "http://films.example@10.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://127.0.0.1.5/",
        "http://1.2.3.256/",
        "http://films.example:0/",
        "http://films.example:/",
        "http://films.example:65536/",
        "http://films.example:80:80/",
        "http:///a",
        "http://",
        "http://films..example/",
        "http://-films.example/",
        "http://films.example\\@10.0.0.1/",
        "http://films.example/\r\nHost: other",
        "http://films.example/\x00",
        "http://films.example/#part",
        "http://[::1%25eth0]/",
        "http://[::1",
        "http://[1.2.3.4]/",
        "http://" + "a" * 64 + ".example/",
        "http://films.example/" + "a" * MAX_CHARS,
        "s3://",
        "s3://b/key",
        "s3://films",
        "s3://films/",
        "s3://Films/a",
        "s3://films/a/../b",
        "s3://films/" + "a" * 1025,
        "s3://fi..lms/a",
        "import:",
        "import:/etc/passwd",
        "import:../secret",
        "import:a/../../b",
        "import:a//b",
        "import:a\x00b",
        "import:./a",
        "import:" + "영" * 700,
        "import:\udcff",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as refused:
        parse(text)
    assert "password" not in str(refused.value) or "user or a password" in str(refused.value)


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "javascript", "data"])
def test_other_schemes_are_no_addresses(scheme: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_url(f"{scheme}://films.example/")


def test_the_other_kinds() -> None:
    assert parse("videos/1/source") == Stored("videos/1/source")
    assert parse("import:films/A film (2019).mp4") == Imported("films/A film (2019).mp4")
    assert parse("s3://films/2019/A film.mp4") == Object("films", "2019/A film.mp4")


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("b.mp4", "https://films.example/a/b.mp4"),
        ("/b.mp4", "https://films.example/b.mp4"),
        ("//other.example/b", "https://other.example/b"),
        ("http://other.example/b", "http://other.example/b"),
    ],
)
def test_redirects_lead_on(location: str, leads_to: str) -> None:
    assert str(parse_url("https://films.example/a/a.mp4").joined(location)) == leads_to


@pytest.mark.parametrize("location", ["ftp://films.example/", "https://user@films.example/", "http://[", "http://0x1/"])
def test_redirects_are_held_to_the_same_rules(location: str) -> None:
    with pytest.raises(InvalidReferenceError):
        parse_url("https://films.example/a").joined(location)


_ODD = "".join(chr(code) for code in range(0x20)) + "@:/\\?#[]%.0x1 \u3002\u2024\uff0e\u212a\u00df\u0131\ud800"


@given(
    st.one_of(
        st.text(),
        st.text(alphabet=_ODD + string.ascii_letters).map("http://".__add__),
        st.text(alphabet=_ODD + "s3importa-").map("s3://".__add__),
        st.text(alphabet=_ODD + "ab").map("import:".__add__),
    )
)
@example("http://a:080/")
@example("http://ß.example/")
def test_whatever_comes_is_refused_or_has_one_form(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidReferenceError:
        return
    if isinstance(reference, Stored):
        assert reference.reference == text
        return
    again = parse(str(reference))
    assert again == reference
    if isinstance(reference, Url):
        # What is checked, what is connected to, and what is sent, are the same to every reader.
        sent = httpcore.URL(str(reference))
        assert sent.host.decode().strip("[]") == reference.host == (urlsplit(str(reference)).hostname or "")
        assert sent.port in (None, reference.port)
        assert str(reference).isascii()
        assert not set(str(reference)) & set(" \t\r\n\\@") or "@" not in reference.authority
    if isinstance(reference, Imported):
        assert not {"", ".", ".."} & set(reference.path.split("/"))
