"""A confined child remuxes, the parent encrypts: results, hostile films, interruptions, limits."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from kit.testing.bus_contract.harness import eventually
from lsv import ContentKey, FileSource, PackReader
from lsv.layout import MAX_PLAINTEXT_BYTES
from services.thumbnailer import domain
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.media.packing import packer
from services.thumbnailer.media.packing.exit_status import to_code, to_status
from services.thumbnailer.media.packing.pack import PresentPack
from services.thumbnailer.media.packing.packer import FilmPacker, max_stream_bytes
from services.thumbnailer.results import Pack
from services.thumbnailer.tests.unit.films import Film
from services.thumbnailer.tests.unit.media.packing.support import TWO_SECONDS, noise, remuxed
from services.thumbnailer.tests.unit.media.support import ROOT, assert_no_children, saved

CONTENT_ID, VERSION, KEY = uuid4(), 3, ContentKey.generate()
PATIENT = Limits(wall_sec=120, cpu_sec=120)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return TWO_SECONDS.save(tmp_path / "film.mp4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pack"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that replaces the child's program."""

    def put(body: str) -> None:
        program = "import os, signal, sys\n" + textwrap.dedent(body)
        monkeypatch.setattr(packer, "_CHILD", saved(tmp_path / "child.py", program.encode()))

    return put


def packer_of(folder: Path, limits: Limits = PATIENT, key: ContentKey = KEY, version: int = VERSION) -> FilmPacker:
    return FilmPacker(folder, key, CONTENT_ID, version, limits)


def packed(film: Path, folder: Path, limits: Limits = PATIENT) -> Pack:
    pack = asyncio.run(packer_of(folder, limits).pack(film))
    assert_no_children()
    return pack


def failure_of(film: Path, folder: Path, limits: Limits = PATIENT) -> str:
    with pytest.raises(MediaError) as caught:
        asyncio.run(packer_of(folder, limits).pack(film))
    assert_no_children()
    assert not (folder / "pack.lsv").exists()
    return caught.value.failure.code


def plaintext(folder: Path) -> bytes:
    with FileSource(folder / "pack.lsv") as source:
        reader = PackReader.open(source, KEY, content_id=CONTENT_ID, content_version=VERSION)
        return b"".join(reader.read(index) for index in range(len(reader.header.entries)))


def test_film_becomes_pack(film: Path, folder: Path) -> None:
    pack = packed(film, folder)
    assert plaintext(folder) == remuxed(film)
    assert [each.name for each in folder.iterdir()] == ["pack.lsv"]
    assert pack.size_bytes == (folder / "pack.lsv").stat().st_size
    assert pack.mime_type == 'video/mp4; codecs="avc1.64000c, mp4a.40.2"'
    assert pack.duration_sec == pytest.approx(9, abs=0.05)
    assert (pack.key_id, pack.content_version) == (str(KEY.id), VERSION)


async def test_finished_pack_is_found_again(film: Path, folder: Path) -> None:
    assert await packer_of(folder).find() is None
    pack = await packer_of(folder).pack(film)
    assert await packer_of(folder).find() == pack
    assert await packer_of(folder, version=VERSION + 1).find() is None
    assert await packer_of(folder, key=ContentKey.generate()).find() is None


def test_pack_of_other_key_is_replaced(film: Path, folder: Path) -> None:
    asyncio.run(packer_of(folder, key=ContentKey.generate()).pack(film))
    packed(film, folder)
    assert plaintext(folder) == remuxed(film)


@pytest.mark.parametrize(
    ("film", "code"),
    [
        (Film(2, codec=None, sound="aac"), domain.NO_VIDEO_TRACK),
        (Film(2, codec="mpeg4"), domain.NEEDS_TRANSCODING),
        (Film(2, codec="libvpx", format="webm"), domain.NEEDS_TRANSCODING),
        (Film(1, size=(1920, 1080), paint=noise, options={"crf": "1", "bf": "0"}), domain.NEEDS_TRANSCODING),
    ],
    ids=["sound only", "codec of other times", "codec that mp4 has not", "picture larger than a chunk"],
)
def test_film_that_can_not_be_packed(film: Film, code: str, tmp_path: Path, folder: Path) -> None:
    assert failure_of(film.save(tmp_path / "hostile.mp4"), folder) == code
    assert domain.MediaFailure.of(code).permanent
    assert not list(folder.glob("*/*"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_film_is_refused(share: float, film: Path, tmp_path: Path, folder: Path) -> None:
    data = film.read_bytes()
    assert failure_of(saved(tmp_path / "cut.mp4", data[: int(len(data) * share)]), folder) == domain.TRUNCATED


def test_other_files_are_refused(tmp_path: Path, folder: Path) -> None:
    assert failure_of(saved(tmp_path / "text", b"no film at all\n" * 100), folder) == domain.NOT_A_VIDEO
    assert failure_of(saved(tmp_path / "empty", b""), folder) == domain.EMPTY_FILE
    assert failure_of(tmp_path / "absent", folder) == domain.FILE_MISSING


def test_damaged_bytes_never_make_a_pack_of_something_else(film: Path, tmp_path: Path, folder: Path) -> None:
    """Whatever is flipped: a failure that is known, or a pack that reads back."""
    data = bytearray(film.read_bytes())
    for step in range(12):
        at = len(data) * step // 12 + 40
        broken = bytearray(data)
        broken[at : at + 8] = bytes(byte ^ 0xFF for byte in broken[at : at + 8])
        source = saved(tmp_path / f"broken-{step}.mp4", bytes(broken))
        failure = None
        try:
            packed(source, folder / str(step))
        except MediaError as error:
            failure = error.failure
        assert (folder / str(step) / "pack.lsv").exists() is (failure is None)
        assert_no_children()


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", domain.INTERRUPTED),
        ("os.kill(os.getpid(), signal.SIGSEGV)", domain.DECODER_CRASHED),
        ("os._exit(3)", domain.DECODER_CRASHED),
        (f"os._exit({to_status(domain.FILE_UNREADABLE)})", domain.FILE_UNREADABLE),
        ("while True: os.write(1, bytes(65536))", domain.DAMAGED),
        ("signal.pause()", domain.TIME_LIMIT),
    ],
)
def test_child_that_ends_badly_makes_no_pack(
    ending: str, code: str, stand_in: Callable[[str], None], film: Path, folder: Path, tmp_path: Path
) -> None:
    """Also behind a whole fragment: the end of the output alone does not end the film."""
    data = remuxed(film)
    whole = saved(tmp_path / "fragments", data[: data.rindex(b"moof") - 4])
    stand_in(f"os.write(1, open({str(whole)!r}, 'rb').read())\n{ending}")
    limits = Limits(wall_sec=2) if code == domain.TIME_LIMIT else PATIENT
    assert failure_of(film, folder, limits) == code


def test_child_that_writes_without_end_is_stopped(
    stand_in: Callable[[str], None], film: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An index may name the same bytes again and again."""
    monkeypatch.setattr(packer, "_MOST_ADDED_BYTES", 0)
    data = remuxed(film)
    at = data.index(b"moof") - 4
    parts = (
        saved(tmp_path / "start", data[:at]),
        saved(tmp_path / "fragment", data[at : data.index(b"moof", at + 9) - 4]),
    )
    head, again = (str(part) for part in parts)
    stand_in(f"os.write(1, open({head!r}, 'rb').read())\nwhile True: os.write(1, open({again!r}, 'rb').read())")
    assert failure_of(film, folder) == domain.DAMAGED


def test_stream_may_be_larger_than_file() -> None:
    assert max_stream_bytes(0) > MAX_PLAINTEXT_BYTES
    assert max_stream_bytes(10**9) > 2 * 10**9


async def test_cancelling_kills_the_child_and_keeps_the_spool(
    stand_in: Callable[[str], None], film: Path, folder: Path, tmp_path: Path
) -> None:
    data = remuxed(film)
    whole = saved(tmp_path / "fragments", data[: data.rindex(b"moof") - 4])
    stand_in(f"os.write(1, open({str(whole)!r}, 'rb').read())\nsignal.pause()")
    working = asyncio.create_task(packer_of(folder).pack(film))
    records = folder / "spool" / "records"
    await eventually(lambda: records.exists() and records.stat().st_size > 0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert_no_children()
    assert records.stat().st_size
    assert not (folder / "pack.lsv").exists()


_KILLED = """
import asyncio, os, pathlib, signal, uuid
from lsv import ContentKey, PackWriter
from services.thumbnailer.media.packing.pack import PresentPack
from services.thumbnailer.media.packing.packer import FilmPacker
from services.thumbnailer.media.inspection import Limits
add, left = PackWriter.add, [{after}]
def add_some(self, chunk, **described):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    add(self, chunk, **described)
PackWriter.add = add_some
key = ContentKey(uuid.UUID({key_id!r}), bytes.fromhex({secret!r}))
packer = FilmPacker(pathlib.Path({folder!r}), key, uuid.UUID({content_id!r}), {version}, Limits(wall_sec=120))
asyncio.run(packer.pack(pathlib.Path({film!r})))
"""


@pytest.mark.parametrize("after", [1, 3])
def test_packing_goes_on_after_kill(after: int, film: Path, folder: Path) -> None:
    program = _KILLED.format(
        after=after,
        key_id=str(KEY.id),
        secret=KEY.secret.hex(),
        folder=str(folder),
        content_id=str(CONTENT_ID),
        version=VERSION,
        film=str(film),
    )
    path = f"{ROOT}:{ROOT / 'libs'}:{ROOT / 'libs/protos'}"
    killed = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": path}, check=False)  # noqa: S603
    assert killed.returncode == -signal.SIGKILL
    before = (folder / "spool" / "records").read_bytes()
    assert before
    assert_no_plaintext(folder, remuxed(film))
    packed(film, folder)
    assert plaintext(folder) == remuxed(film)
    with FileSource(folder / "pack.lsv") as source:
        head = PackReader.open(source, KEY, content_id=CONTENT_ID, content_version=VERSION).header
    assert (folder / "pack.lsv").read_bytes()[head.records_start :].startswith(before)


def test_second_packer_of_one_folder_is_refused(film: Path, folder: Path) -> None:
    """A broker may deliver a job again while it still runs."""
    with packer_of(folder)._locked():
        assert failure_of(film, folder) == domain.SERVER_BUSY
    packed(film, folder)


def test_memory_does_not_grow_with_the_film(tmp_path: Path, folder: Path) -> None:
    film = Film(60, paint=noise, options={"preset": "ultrafast", "qp": "10"}).save(tmp_path / "film.mp4")
    size = film.stat().st_size
    tracemalloc.start()
    try:
        packed(film, folder, Limits(wall_sec=300, cpu_sec=300, memory_bytes=384 * 2**20))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 24 * 2**20
    assert peak < 16 * 2**20


def test_codes_survive_the_exit_status() -> None:
    for code in (domain.NEEDS_TRANSCODING, domain.TRUNCATED, domain.MEMORY_LIMIT):
        assert to_code(to_status(code)) == code
    assert to_code(to_status("UNHEARD_OF")) == domain.DAMAGED
    assert [to_code(status) for status in (-9, 0, 1, 63, 255)] == [None] * 5


def assert_no_plaintext(folder: Path, data: bytes) -> None:
    windows = {data[at : at + 16] for at in range(0, len(data) - 16, 16)}
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert not any(raw[at : at + 16] in windows for at in range(len(raw) - 16))


class TestRepack:
    """The pack of another pack."""

    PRESENT = PresentPack(KEY, VERSION)
    NEW_KEY = ContentKey.generate()

    def repacked(self, folder: Path, source: Path) -> Pack:
        return asyncio.run(packer_of(folder, key=self.NEW_KEY, version=VERSION + 1).repack(source, self.PRESENT))

    def test_it_has_the_same_content(self, film: Path, folder: Path, tmp_path: Path) -> None:
        before = packed(film, folder)
        after = self.repacked(tmp_path / "new", folder / "pack.lsv")
        assert (after.duration_sec, after.mime_type) == (before.duration_sec, before.mime_type)
        assert (after.content_version, after.key_id) == (VERSION + 1, str(self.NEW_KEY.id))
        with FileSource(tmp_path / "new" / "pack.lsv") as source:
            reader = PackReader.open(source, self.NEW_KEY, content_id=CONTENT_ID, content_version=VERSION + 1)
            assert b"".join(reader.read(index) for index in range(len(reader.header.entries))) == plaintext(folder)

    @pytest.mark.parametrize("is_there", [True, False])
    def test_unreadable_pack_has_its_reason(self, film: Path, folder: Path, tmp_path: Path, *, is_there: bool) -> None:
        if is_there:
            film.rename(tmp_path / "other")
        with pytest.raises(MediaError) as caught:
            self.repacked(folder, tmp_path / "other")
        assert caught.value.failure.code == (domain.DAMAGED if is_there else domain.FILE_MISSING)

    async def test_cancelling_stops_and_the_next_attempt_goes_on(
        self, film: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await packer_of(folder).pack(film)
        new = packer_of(tmp_path / "new", key=self.NEW_KEY, version=VERSION + 1)
        read_at, reads = FileSource.read_at, 0

        def interrupt(source: FileSource, offset: int, count: int) -> bytes:
            nonlocal reads
            reads += 1
            if reads == 5:
                new.cancel()
            return read_at(source, offset, count)

        with monkeypatch.context() as interrupted:
            interrupted.setattr(FileSource, "read_at", interrupt)
            with pytest.raises(MediaError) as caught:
                await new.repack(folder / "pack.lsv", self.PRESENT)
        assert caught.value.failure.code == domain.INTERRUPTED
        assert (tmp_path / "new" / "spool" / "records").stat().st_size > 0
        again = packer_of(tmp_path / "new", key=self.NEW_KEY, version=VERSION + 1)
        assert (await again.repack(folder / "pack.lsv", self.PRESENT)).size_bytes > 0
