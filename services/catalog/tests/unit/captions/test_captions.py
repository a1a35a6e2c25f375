"""Encodings, names and conversion of subtitle files."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.captions import InvalidSubtitlesError, decode, parse_track, sidecar_track, to_webvtt

HEAD = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n"
    "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    "Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
    "MarginV, Encoding\n"
    "Style: Default,Arial,20,&H00FFFFFF,&H000000FF,&H0,&H0,0,0,0,0,100,100,0,0,1,2,2,2,10,10,10,1\n"
    "Style: Sign,Arial,20,&H0000FFFF,&H000000FF,&H0,&H0,-1,0,0,0,100,100,0,0,1,2,2,7,10,10,10,1\n\n"
)
EVENTS = "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
SRT_TIME = "1\n00:00:01,000 --> 00:00:02,500\n"


def line(text: str, style: str = "Default", start: str = "0:00:01.00") -> str:
    return f"Dialogue: 0,{start},0:00:09.00,{style},,0,0,0,,{text}\n"


def cues(text: str) -> list[str]:
    """The cues of converted subtitles, each without its times."""
    blocks = to_webvtt(text).webvtt.strip().split("\n\n")[1:]
    return [re.sub(r"^[0-9:.]+ --> [0-9:.]+\s", "", block) for block in blocks]


@pytest.mark.parametrize(
    ("encoding", "text", "found"),
    [
        ("utf-8", "뭐야? 정말 그래?", "utf-8"),
        ("utf-8-sig", "Déjà vu", "utf-8"),
        ("utf-16", "뭐야? 정말 그래?", "utf-16"),
        ("utf-16-le", "Plain words", "utf-16-le"),
        ("utf-16-be", "Plain words", "utf-16-be"),
        ("cp949", "뭐야? 정말 그래? 똠방각하", "cp949"),
        ("euc_kr", "우리 지금 어디 가?", "cp949"),
        ("latin-1", "Où êtes-vous? «Déjà»", "windows-1252"),
        ("gb18030", "你好,世界。这是字幕。我们在这里。", "gb18030"),
        ("big5", "你好,世界。這是字幕。我們在這裡。", "big5"),
        ("cp1251", "Привет, как дела? Это субтитры.", "cp1251"),
    ],
)
def test_finds_the_encoding_out(encoding: str, text: str, found: str) -> None:
    decoded = decode((SRT_TIME + f"{text}\n" * 8).encode(encoding))
    assert decoded.encoding == found
    assert text in decoded.text
    sure = encoding.startswith(("utf", "cp949", "euc"))
    assert (decoded.confidence >= 0.9) is sure


def test_japanese_is_not_taken_for_certain_korean() -> None:
    decoded = decode((SRT_TIME + "こんにちは世界。これは字幕です。\n" * 8).encode("shift_jis"))
    assert decoded.confidence < 0.9


@given(st.binary(max_size=2000))
def test_any_bytes_decode_to_some_text(data: bytes) -> None:
    decoded = decode(data)
    assert 0 <= decoded.confidence <= 1


@pytest.mark.parametrize(
    ("film", "name", "track"),
    [
        ("film", "film.ko.srt", "ko"),
        ("film", "film.KOR.SRT", "ko"),
        ("film", "film.korean.srt", "ko"),
        ("film", "film.한국어.smi", None),
        ("film", "film.한국어.ass", "ko"),
        ("film", "film.srt", "und"),
        ("film", "film.en.forced.ass", "en.forced"),
        ("film", "film.forced.en.srt", "en.forced"),
        ("film", "film.eng.sdh.srt", "en.sdh"),
        ("film", "film.en.hi.srt", "en.sdh"),
        ("film", "film.hi.srt", "hi"),
        ("film", "film.zh-Hant.vtt", "zh-Hant"),
        ("film", "film.chs.srt", "zh-Hans"),
        ("film", "film.pt-br.srt", "pt-BR"),
        ("film", "film2.srt", None),
        ("film", "film.mkv", None),
        ("film", "other.ko.srt", None),
        ("Film (2019)", "Film (2019).2.ko.srt", "ko"),
    ],
)
def test_sidecar_names(film: str, name: str, track: str | None) -> None:
    found = sidecar_track(film, name)
    assert (found.name if found else None) == track


@pytest.mark.parametrize("name", ["", ".", "en.", "en.loud", "xx", "en-", "en..forced", "../en", "en.sdh.sdh"])
def test_refuses_names_that_are_no_track(name: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_track(name)


def test_srt_keeps_styling_and_escapes_the_rest() -> None:
    text = SRT_TIME + '{\\an8}<i>A</i> & <font color="#FFFF00">B</font> <blink>C</blink>\nx < 3 > y\n'
    assert cues(text) == ["line:0\n<i>A</i> &amp; <c.yellow>B</c> C\nx &lt; 3 &gt; y"]


def test_ass_keeps_what_webvtt_can_say() -> None:
    text = HEAD + EVENTS + line("Hello {\\i1}you{\\i0}\\N\\NSecond") + line("SIGN{\\r} plain", "Sign", "0:00:02.00")
    text += line("{\\p1}m 0 0 l 9 9{\\p0}", start="0:00:03.00") + "Comment: 0,0:00:03.00,0:00:04.00,Sign,,0,0,0,,no\n"
    assert cues(text) == [
        "Hello <i>you</i>\nSecond",
        "line:0 position:10% align:left\n<c.yellow><b>SIGN</b></c><c.yellow><b> plain</b></c>",
    ]


def test_webvtt_stays_as_it_is() -> None:
    text = "WEBVTT - title\n\nSTYLE\n::cue(b) { color: red }\n\nid\n00:01.000 --> 00:02.000 line:0\n<v Ann><b>Hi</b>\n"
    assert to_webvtt("\ufeff" + text.replace("\n", "\r\n")).webvtt == text


@pytest.mark.parametrize(
    "hostile",
    [
        SRT_TIME + "<a" * 500_000,
        SRT_TIME + "\n1" * 500_000,
        SRT_TIME + " " * 1_000_000 + "x",
        SRT_TIME + "<font color=" * 80_000,
        (SRT_TIME + "<a" * 990 + "\n\n") * 500,
        HEAD + EVENTS + line("{\\i1}a" * 900) * 180,
        HEAD + EVENTS + line("{" * 900_000),
        HEAD + EVENTS + line("\\N" * 400_000),
        "[Fonts]\n" * 100_000 + EVENTS,
        "WEBVTT\n\n" + "00:01.000 --> 00:02.000\n<b>\n\n" * 19_000,
    ],
    ids=str.__len__,
)
def test_hostile_files_end(hostile: str) -> None:
    try:
        made = to_webvtt(hostile)
    except InvalidSubtitlesError:
        return
    assert len(made.webvtt) < 16 * len(hostile) + 1000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not WebVTT"),
        ("a --> b", "no cues"),
        (SRT_TIME * 20_001, "more than 20000 cues"),
        (HEAD + EVENTS + line("x") * 20_001, "more than 20000 cues"),
        ("WEBVTT\n\n" + "00:01.000 --> 00:02.000\nx\n\n" * 20_001, "more than 20000 cues"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<b>" * 300 + "\n", "too long"),
        ("WEBVTT\n\n1 --> 2\nx\n", "no valid times"),
        ("1\n99:00:00,000 --> 99:00:01,000\nx\n\n2\n00:00:02,000 --> 00:00:01,000\ny\n", None),
    ],
)
def test_limits(text: str, reason: str | None) -> None:
    if reason is None:
        assert to_webvtt(text).cues == 1, "a cue that ends before it begins is left out"
        return
    with pytest.raises(InvalidSubtitlesError, match=reason):
        to_webvtt(text)


@given(st.text(alphabet="<>{}\\ib10uc&HNanrp /-:,.\n안", max_size=300))
def test_whatever_is_in_a_cue_stays_one_cue(text: str) -> None:
    ass = HEAD + EVENTS + line(text.replace("\n", " "))
    try:
        made = to_webvtt(ass)
    except InvalidSubtitlesError:
        return
    assert made.webvtt.count("-->") == made.cues == 1
    opened = re.findall(r"<(/?)(c|b|i|u)[.a-z]*>", made.webvtt)
    assert sum(1 for slash, _ in opened if slash) * 2 == len(opened)
