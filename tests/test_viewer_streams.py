"""The stream mode of ``pgfrs view``: any beginning of a stream, damage by clicks, files that grow."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import browser
import pgfrs
from material import SAMPLES
from pgfrs.viewer import Viewer
from pgfrs.viewer.streams import Streams
from pgfrs.viewer.tiles import TiledPictures
from test_viewer import error_is_seen, get

SCREEN = (900, 700)
CELL = 30


@pytest.fixture(scope="module")
def stream() -> bytes:
    with Image.open(SAMPLES / "chelsea.png") as picture:
        return pgfrs.encode(np.asarray(picture)[:256, :256], format="pgfr", max_bytes=5000)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, stream: bytes) -> list[Path]:
    folder = tmp_path_factory.mktemp("streams")
    contents = {
        "cat.pgfr": stream,
        "growing.pgfr": stream[:1500],
        "file.pgf": pgfrs.transcode(stream, "pgf"),
        "deep.pgfr": pgfrs.encode(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16, format="pgfr"),
        "bitmap.pgfr": pgfrs.encode(np.eye(40, dtype=bool), format="pgfr"),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


@contextmanager
def serving(*files: Path, port: int = 0) -> Iterator[str]:
    """The address of a page of files."""
    viewer = Viewer()
    names = [str(path) for path in files]
    Streams(names).add_to(viewer)
    shown = TiledPictures(names)
    shown.add_to(viewer)
    try:
        yield viewer.start(port)
    finally:
        viewer.stop()
        for picture in shown.pictures:
            picture.close()


@pytest.fixture(scope="module")
def address(files: list[Path]) -> Iterator[str]:
    with serving(*files) as address:
        yield address


@pytest.fixture(scope="module")
def other() -> bytes:
    """A stream of another picture of the same size, longer than the first; both begin alike."""
    with Image.open(SAMPLES / "chelsea.png") as picture:
        return pgfrs.encode(np.asarray(picture)[40:296, 190:446], format="pgfr", max_bytes=7000)


def state_of(address: str, arguments: str, number: int = 0) -> dict[str, Any]:
    status, body = get(f"{address}streams/{number}/state?{arguments}")
    assert status == 200, body
    return dict(json.loads(body))


def picture_of(state: dict[str, Any]) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(state["picture"]))) as picture:
        return np.asarray(picture)


def test_the_picture_of_every_beginning(address: str, stream: bytes) -> None:
    assert get(f"{address}streams/0?from=4000") == (200, stream[4000:])
    segments = json.loads(get(f"{address}streams/0/segments")[1])
    assert [s[:2] for s in segments] == [[s.start, s.end] for s in pgfrs.segments(stream)]
    for count in (20, 333, 2500, len(stream), 10**9):
        state = state_of(address, f"bytes={count}")
        assert state["bytes"] == min(count, len(stream))
        assert np.array_equal(picture_of(state), pgfrs.decode(stream[:count]))
        last = pgfrs.segments(stream[:count])[-1]
        assert (state["segment"]["start"], state["segment"]["kind"]) == (last.start, last.kind)
    known = np.array([np.mean(state_of(address, f"bytes={n}")["confidence"]) for n in (600, 1500, 5000)])
    assert (np.diff(known) > 0).all() and 0 <= known.min() and known.max() <= 1
    nothing = state_of(address, "bytes=5")
    assert nothing["picture"] is None and "header" in nothing["words"]


def test_damage(address: str, stream: bytes) -> None:
    damaged = bytearray(stream)
    for place in (900, 2000):
        damaged[place] ^= 0x5A
    state = state_of(address, "bytes=5000&damage=900.2000.99999")
    pixels, report = pgfrs.decode_with_report(bytes(damaged))
    assert np.array_equal(picture_of(state), pixels)
    assert state["fates"] == report.segments and len(state["damage"]) == len(report.damage)


def test_other_modes_are_shown_too(address: str) -> None:
    assert picture_of(state_of(address, "", 3)).shape == (64, 64)
    assert set(np.unique(picture_of(state_of(address, "", 4)))) == {0, 255}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("streams/9", 404),
        ("streams/0?from=-1", 400),
        ("streams/0/state?bytes=-1", 400),
        ("streams/0/state?damage=-1", 400),
        ("streams/0/state?damage=x", 400),
        ("streams/0/state?bytes=1e3", 400),
        ("streams/0?have=100", 400),
        ("streams/0?have=-1.0", 400),
        ("streams/0/segments?have=x.0", 400),
        ("streams/0/state?have=9.123456789", 400),
        ("streams/" + 5000 * "9", 400),
        ("scripts/streams.js", 200),
    ],
)
def test_answers(address: str, path: str, status: int) -> None:
    assert get(address + path)[0] == status


def ask(address: str) -> tuple[int, str, bytes]:
    """Where the bytes of an answer begin, what the page then has, and the bytes."""
    with urllib.request.urlopen(address, timeout=30) as answer:
        return int(answer.headers["Pgfrs-From"]), answer.headers["Pgfrs-Have"], answer.read()


def test_files_that_grow_or_are_written_anew(tmp_path: Path, stream: bytes, other: bytes) -> None:
    """What comes is what the file has gained, or all of it if it is another one."""
    path = tmp_path / "followed.pgfr"
    path.write_bytes(stream[:900])
    assert len(other) > len(stream) and other[:8] == stream[:8]
    with serving(path) as address:
        start, have, data = ask(f"{address}streams/0?have=0.0")
        assert (start, data) == (0, stream[:900])
        assert ask(f"{address}streams/0?have={have}") == (900, have, b"")

        path.write_bytes(stream)
        start, now, data = ask(f"{address}streams/0?have={have}")
        assert (start, data) == (900, stream[900:])
        # Who has less is told of no more than that.
        segments = json.loads(get(f"{address}streams/0/segments?have={have}")[1])
        assert [s[:2] for s in segments] == [[s.start, s.end] for s in pgfrs.segments(stream[:900])]
        assert state_of(address, f"have={have}")["bytes"] == 900

        patched = stream[:2000] + bytes([stream[2000] ^ 1]) + stream[2001:]
        for anew in (stream[:700], other, patched, stream[:12], b"", pgfrs.transcode(stream, "pgf")):
            path.write_bytes(stream)
            assert ask(f"{address}streams/0?have={now}")[1:] == (now, b"")
            path.write_bytes(anew)
            assert ask(f"{address}streams/0?have={now}")[::2] == (0, anew)
            for part in ("segments", "state"):
                assert get(f"{address}streams/0/{part}?have={now}")[0] == 409
            assert get(f"{address}streams/0/state")[0] == 200

        path.unlink()
        assert get(f"{address}streams/0?have={now}") == (404, f"nothing at {path}".encode())
        path.write_bytes(stream)
        assert ask(f"{address}streams/0?have={now}") == (len(stream), now, b"")


def test_names_of_every_kind(tmp_path: Path, stream: bytes) -> None:
    """Those that are not text too, and such as mean something in addresses."""
    paths = [tmp_path / name for name in ("ça & 图 ☃?#%41.pgfr", "<b>bold<b>.pgfr", os.fsdecode(b"caf\xe9.pgfr"))]
    for path in paths:
        path.write_bytes(stream)
    with serving(*paths) as address:
        listed = json.loads(get(f"{address}pictures")[1])["pictures"]
        assert [picture["name"] for picture in listed] == [str(path) for path in paths]
        for number, path in enumerate(paths):
            assert get(f"{address}streams/{number}") == (200, stream)
            path.unlink()
            status, words = get(f"{address}streams/{number}")
            assert (status, words) == (404, f"nothing at {path}".encode(errors="replace"))


def test_addresses_elsewhere_have_no_bytes_here(tmp_path: Path, stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where a file of this machine has such a name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "https:").mkdir()
    (tmp_path / "https:" / "cat.pgfr").write_bytes(stream)
    viewer = Viewer()
    Streams(["https://cat.pgfr"]).add_to(viewer)
    address = viewer.start()
    try:
        assert get(f"{address}streams/0")[0] == 404
    finally:
        viewer.stop()


def test_waiting_for_a_file(tmp_path: Path, stream: bytes) -> None:
    path = tmp_path / "late.pgfr"
    command = [sys.executable, "-m", "pgfrs", "view", "--no-browser", "--wait", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        time.sleep(0.5)
        path.write_bytes(stream[:6])
        time.sleep(0.3)
        path.write_bytes(stream[:100])
        address = process.stdout.readline().split()[0]
        assert get(address + "streams/0") == (200, stream[:100])
        path.write_bytes(stream)
        assert get(address + "streams/0?from=100") == (200, stream[100:])
        process.terminate()


# --- the page in a browser --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page() -> Iterator[browser.Page]:
    if browser.find() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium: apt-get install chromium")
        pytest.skip("no Chromium: apt-get install chromium")
    with browser.browsing(*SCREEN) as opened:
        yield opened


def stream_state(page: browser.Page) -> dict[str, Any]:
    script = "({cursor: pgfrs.stream.cursor, length: pgfrs.stream.bytes.length, damage: [...pgfrs.stream.damage], "
    return dict(page.evaluate(script + "first: pgfrs.stream.first(), renders: pgfrs.stream.renders})"))


def shown(page: browser.Page) -> NDArray[np.uint8]:
    """The pixels of the picture on the screen, without the confidence map and frame: from the bitmap."""
    script = """(() => {
        const b = pgfrs.stream.bitmap, c = document.createElement("canvas");
        [c.width, c.height] = [b.width, b.height];
        c.getContext("2d").drawImage(b, 0, 0);
        return Array.from(c.getContext("2d").getImageData(0, 0, b.width, b.height).data);
    })()"""
    data = np.array(page.evaluate(script), np.uint8)
    return data.reshape(256, 256, 4)[..., :3]


def places(page: browser.Page) -> tuple[float, float, float]:
    """Screen rows of the strip and of the close-up, and the width."""
    script = "(() => { const b = pgfrs.stream.canvas.getBoundingClientRect(), l = pgfrs.stream.layout(); "
    strip, close, width = page.evaluate(script + "return [b.y + l.strip + 12, b.y + l.close + 20, l.width]; })()")
    return strip, close, width


def key(page: browser.Page, name: str, text: str = "") -> None:
    page.call("Input.dispatchKeyEvent", type="keyDown", key=name, text=text)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=name)
    page.settle()


def test_dragging_along_the_bytes(page: browser.Page, address: str, stream: bytes) -> None:
    page.open(address)
    assert stream_state(page)["cursor"] == len(stream)
    assert np.array_equal(shown(page), pgfrs.decode(stream))
    strip, _, width = places(page)
    page.mouse("mousePressed", width * 0.9, strip, button="left", clickCount=1)
    for share in (0.8, 0.6, 0.5, 0.4):
        page.mouse("mouseMoved", width * share, strip, button="left")
    page.mouse("mouseReleased", width * 0.4, strip, button="left", clickCount=1)
    page.settle()
    state = stream_state(page)
    assert state["cursor"] == pytest.approx(0.4 * len(stream), abs=10)
    assert np.array_equal(shown(page), pgfrs.decode(stream[: state["cursor"]]))
    last = pgfrs.segments(stream[: state["cursor"]])[-1]
    words = page.evaluate("pgfrs.byId('facts').textContent")
    assert f"of block {last.index}, level" in words and ("luma" in words or "colour" in words)
    assert f"{state['cursor']} of {len(stream)} bytes" in page.evaluate("pgfrs.byId('state').textContent")

    key(page, "ArrowLeft")
    assert stream_state(page)["cursor"] == state["cursor"] - 1
    key(page, "PageDown")
    ends = [s.end for s in pgfrs.segments(stream)]
    assert stream_state(page)["cursor"] in ends
    key(page, "Home")
    assert "header" in page.evaluate("pgfrs.byId('facts').textContent")
    key(page, "End")
    assert stream_state(page)["cursor"] == len(stream)
    assert f"bytes={len(stream)}" in page.evaluate("location.hash")
    assert page.problems == []


def test_damaging_by_a_click(page: browser.Page, address: str, stream: bytes) -> None:
    page.open(f"{address}#picture=0&bytes=2600")
    _, close, _ = places(page)
    first = stream_state(page)["first"]
    page.mouse("mousePressed", 5.5 * CELL, close, button="left", clickCount=1)
    page.mouse("mouseReleased", 5.5 * CELL, close, button="left", clickCount=1)
    page.settle()
    assert stream_state(page)["damage"] == [first + 5]
    damaged = bytearray(stream[:2600])
    damaged[first + 5] ^= 0x5A
    assert np.array_equal(shown(page), pgfrs.decode_with_report(bytes(damaged))[0])
    assert "1 damaged" in page.evaluate("pgfrs.byId('state').textContent")
    key(page, "m", "m")
    assert stream_state(page)["damage"] == []
    assert np.array_equal(shown(page), pgfrs.decode(stream[:2600]))
    assert page.problems == []


def test_the_confidence_map_and_the_segment_are_drawn(page: browser.Page, address: str) -> None:
    page.open(f"{address}#picture=0&bytes=1200")
    with_map = page.screenshot().astype(int)
    key(page, "c", "c")
    without = page.screenshot().astype(int)
    assert (np.abs(with_map - without).max(axis=2) > 20).mean() > 0.1, "tiles that are not known are darker"
    yellow = (np.abs(without - [255, 210, 74]).max(axis=2) < 40).sum()
    assert yellow > 100, "the segment under the cursor has a frame"


def test_a_file_that_grows(page: browser.Page, address: str, files: list[Path], stream: bytes) -> None:
    page.open(f"{address}#picture=1")
    assert stream_state(page)["length"] == 1500

    def write() -> None:
        with files[1].open("ab") as file:
            for at in range(1500, len(stream), 500):
                file.write(stream[at : at + 500])
                file.flush()
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    limit = time.monotonic() + 20
    while stream_state(page)["length"] < len(stream) and time.monotonic() < limit:
        time.sleep(0.1)
    writer.join()
    page.settle()
    state = stream_state(page)
    assert (state["length"], state["cursor"]) == (len(stream), len(stream)), "the cursor stays at the end"
    assert np.array_equal(shown(page), pgfrs.decode(stream))
    # Who looks at an earlier place is left there.
    page.evaluate("pgfrs.stream.go(800)")
    page.settle()
    with files[1].open("ab") as file:
        file.write(b"\xff\x0e")
    time.sleep(1.2)
    page.settle()
    assert (stream_state(page)["cursor"], stream_state(page)["length"]) == (800, len(stream) + 2)
    assert page.problems == []


def until(page: browser.Page, condition: str) -> bool:
    """Whether a condition comes true in reasonable time; the page stands still then."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        if page.evaluate(f"Boolean({condition})"):
            page.settle()
            return True
        time.sleep(0.05)
    return False


def text(page: browser.Page, name: str) -> str:
    return str(page.evaluate(f"pgfrs.byId('{name}').hidden ? '' : pgfrs.byId('{name}').textContent"))


def press(page: browser.Page, label: str) -> None:
    page.evaluate(f"[...document.querySelectorAll('#tools button')].find(b => b.textContent === '{label}').click()")
    page.settle()


def bytes_on(page: browser.Page) -> bytes:
    return bytes(page.evaluate("Array.from(pgfrs.stream.bytes)"))


@pytest.mark.parametrize("by_name", [False, True], ids=["in place", "by another file"])
@pytest.mark.parametrize("kind", ["shorter", "longer", "as long", "cut"])
def test_a_file_that_is_written_anew(
    page: browser.Page, tmp_path: Path, stream: bytes, other: bytes, kind: str, by_name: bool
) -> None:
    """A model starts over: the page has nothing of the old file left."""
    anew = {"shorter": other[:1800], "longer": other, "as long": other[: len(stream)], "cut": stream[:900]}[kind]
    path = tmp_path / "anew.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        page.open(address)
        page.evaluate("pgfrs.stream.hit(3000)")
        page.settle()
        assert "1 damaged" in text(page, "state")
        if by_name:
            (tmp_path / "new").write_bytes(anew)
            (tmp_path / "new").rename(path)
        else:
            path.write_bytes(anew)
        last = anew[-1]
        script = f"pgfrs.stream.bytes.length === {len(anew)} && pgfrs.stream.bytes.at(-1) === {last}"
        assert until(page, f"{script} && !pgfrs.stream.damage.size")
        assert bytes_on(page) == anew
        assert text(page, "state").startswith(f"{len(anew)} of {len(anew)} bytes;")
        assert "damaged" not in text(page, "state") and text(page, "error") == ""
        assert np.array_equal(shown(page), pgfrs.decode(anew))
        drawn = page.evaluate("pgfrs.stream.segments.map((s) => s[1])")
        assert drawn == [s.end for s in pgfrs.segments(anew)]
        # It goes on from there.
        path.write_bytes(other[:6000] if kind == "shorter" else anew + b"\xff\x0e")
        assert until(page, f"pgfrs.stream.bytes.length > {len(anew)}")
        assert stream_state(page)["cursor"] == stream_state(page)["length"]
    assert page.problems == []


def test_the_place_in_a_file_that_is_written_anew(
    page: browser.Page, tmp_path: Path, stream: bytes, other: bytes
) -> None:
    """Who looks at the 1500th byte does so again once it is there."""
    path = tmp_path / "anew.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        page.open(f"{address}#bytes=1500")
        path.write_bytes(other[:600])
        assert until(page, "pgfrs.stream.bytes.length === 600")
        assert stream_state(page)["cursor"] == 600
        path.write_bytes(other)
        assert until(page, f"pgfrs.stream.bytes.length === {len(other)}")
        assert stream_state(page)["cursor"] == 1500
        assert np.array_equal(shown(page), pgfrs.decode(other[:1500]))
    assert page.problems == []


def test_a_file_that_is_written_anew_and_not_followed(
    page: browser.Page, tmp_path: Path, stream: bytes, other: bytes
) -> None:
    """The old bytes stay until something is asked about them; they are never shown with the new picture."""
    path = tmp_path / "anew.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        page.open(address)
        press(page, "Follow")
        path.write_bytes(other)
        time.sleep(1)
        assert bytes_on(page) == stream and np.array_equal(shown(page), pgfrs.decode(stream))
        page.evaluate("pgfrs.stream.go(2500)")
        assert until(page, f"pgfrs.stream.bytes.length === {len(other)}")
        assert bytes_on(page) == other and stream_state(page)["cursor"] == 2500
        assert np.array_equal(shown(page), pgfrs.decode(other[:2500]))
    page.problems.clear()  # an answer with status 409


def test_a_file_that_is_not_there_when_the_page_loads(page: browser.Page, tmp_path: Path, stream: bytes) -> None:
    path = tmp_path / "gone.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        path.unlink()
        page.open(address)
        assert text(page, "error") == f"nothing at {path}" and error_is_seen(page)
        path.write_bytes(stream)
        assert until(page, f"pgfrs.stream.bytes.length === {len(stream)}")
        assert text(page, "error") == ""
        assert np.array_equal(shown(page), pgfrs.decode(stream))
    page.problems.clear()


@pytest.mark.parametrize("follow", [True, False])
def test_a_file_that_is_gone_for_a_while(page: browser.Page, tmp_path: Path, stream: bytes, follow: bool) -> None:
    """The same one comes back; without being followed it is missed when something is asked."""
    path = tmp_path / "gone.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        page.open(address)
        if not follow:
            press(page, "Follow")
        path.rename(tmp_path / "elsewhere")
        page.evaluate("pgfrs.stream.go(2000)")
        assert until(page, "!pgfrs.byId('error').hidden")
        assert text(page, "error") == f"nothing at {path}"
        assert np.array_equal(shown(page), pgfrs.decode(stream)), "what was there is still shown"
        (tmp_path / "elsewhere").rename(path)
        assert until(page, "pgfrs.byId('error').hidden")
        assert np.array_equal(shown(page), pgfrs.decode(stream[:2000]))
    page.problems.clear()


def test_a_server_that_is_gone_for_a_while(page: browser.Page, tmp_path: Path, stream: bytes) -> None:
    path = tmp_path / "cat.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        page.open(address)
    assert until(page, "!pgfrs.byId('error').hidden")
    assert text(page, "error") == "pgfrs view does not answer"
    with serving(path, port=int(address.rstrip("/").rpartition(":")[2])):
        assert until(page, "pgfrs.byId('error').hidden")
    page.call("Page.navigate", url="about:blank")
    page.problems.clear()


def test_an_empty_file(page: browser.Page, tmp_path: Path, stream: bytes) -> None:
    """There is nothing to damage, and what is written then is followed."""
    path = tmp_path / "empty.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        path.write_bytes(b"")
        page.open(address)
        assert text(page, "state") == "0 of 0 bytes" and "no header" in page.evaluate("pgfrs.stream.words()")
        strip, close, width = places(page)
        for row in (strip, close):
            page.mouse("mousePressed", width / 2, row, button="left", clickCount=1, modifiers=8)
            page.mouse("mouseReleased", width / 2, row, button="left", clickCount=1, modifiers=8)
            page.settle()
        assert stream_state(page)["damage"] == [] and text(page, "error") == ""
        path.write_bytes(stream)
        assert until(page, f"pgfrs.stream.cursor === {len(stream)}")
        assert np.array_equal(shown(page), pgfrs.decode(stream))
    assert page.problems == []


def test_reloading_goes_along_with_the_end(page: browser.Page, tmp_path: Path, stream: bytes) -> None:
    """The address names the last byte there was; who went along with the end still does."""
    path = tmp_path / "growing.pgfr"
    path.write_bytes(stream[:1500])
    with serving(path) as address:
        page.open(address)
        assert "bytes=1500" in page.evaluate("location.hash")
        path.write_bytes(stream)
        page.call("Page.reload")
        page.settle()
        assert stream_state(page)["cursor"] == len(stream)
        page.evaluate("pgfrs.stream.go(1000)")
        page.settle()
        page.call("Page.reload")
        page.settle()
        assert stream_state(page)["cursor"] == 1000
    assert page.problems == []


def in_mode(page: browser.Page) -> str:
    script = "(o) => Boolean(o) && document.body.contains(o.canvas)"
    bytes_shown, zoom_shown = (page.evaluate(f"({script})(pgfrs.{name})") for name in ("stream", "view"))
    assert bytes_shown != zoom_shown
    return "bytes" if bytes_shown else "zoom"


def test_to_zoom_and_back(page: browser.Page, tmp_path: Path, stream: bytes) -> None:
    """Also where there is one picture, and so nothing to choose."""
    path = tmp_path / "cat.pgfr"
    path.write_bytes(stream)
    with serving(path) as address:
        page.open(address)
        page.evaluate("pgfrs.stream.go(1234)")
        page.settle()
        assert page.evaluate("getComputedStyle(pgfrs.byId('picture')).display") == "none"
        press(page, "Zoom")
        assert in_mode(page) == "zoom" and "256 × 256, rgb, pgfr" in text(page, "facts")
        page.call("Page.reload")
        page.settle()
        assert in_mode(page) == "zoom", "reloading stays there"
        press(page, "Bytes")
        assert in_mode(page) == "bytes" and stream_state(page)["cursor"] == len(stream)
        labels = page.evaluate("[...document.querySelectorAll('#tools button')].map(b => b.textContent)")
        assert labels == ["Mend", "Confidence", "Follow", "Zoom"]
        # The browser's own ways back.
        page.evaluate("history.back()")
        assert until(page, "document.body.contains(pgfrs.view.canvas)") and in_mode(page) == "zoom"
        page.evaluate("history.back()")
        assert until(page, "document.body.contains(pgfrs.stream.canvas)") and in_mode(page) == "bytes"
        assert stream_state(page)["cursor"] == 1234
    assert page.problems == []


def test_zoom_has_no_way_to_bytes_that_are_not_there(page: browser.Page, address: str) -> None:
    page.open(f"{address}#picture=2&mode=bytes")
    labels = page.evaluate("[...document.querySelectorAll('#tools button')].map(b => b.textContent)")
    assert in_mode(page) == "zoom" and "Bytes" not in labels


def test_zoom_shows_the_file_as_it_is_now(page: browser.Page, tmp_path: Path, stream: bytes, other: bytes) -> None:
    """Not as it was when it was opened: as --wait opens it, there is hardly more than a header."""
    path = tmp_path / "growing.pgfr"
    path.write_bytes(stream[:60])

    def differs(data: bytes) -> float:
        """From the picture in the middle of the canvas, at a pixel a pixel."""
        box = page.evaluate("(b => [b.x + b.width / 2, b.y + b.height / 2])(pgfrs.view.canvas.getBoundingClientRect())")
        screen, pixels = page.screenshot().astype(int), pgfrs.decode(data)
        left, top = int(box[0]) - 128, int(box[1]) - 128
        shifts = [(dx, dy) for dx in (0, 1) for dy in (0, 1)]  # half pixels of odd sizes
        windows = [screen[top + dy : top + dy + 256, left + dx : left + dx + 256] for dx, dy in shifts]
        return min(float(np.abs(window - pixels).mean()) for window in windows)

    with serving(path) as address:
        page.open(address)
        path.write_bytes(stream)
        assert until(page, f"pgfrs.stream.bytes.length === {len(stream)}")
        press(page, "Zoom")
        assert f"{len(stream):,} bytes" in text(page, "facts")
        assert differs(stream) < 1
        # While zoomed: what comes into view is of the new file, so everything else has to be too.
        path.write_bytes(other)
        page.evaluate("pgfrs.view.tiles.ready.clear(); pgfrs.view.redraw()")
        assert until(page, f"pgfrs.byId('facts').textContent.includes('{len(other):,} bytes')")
        assert differs(other) < 1 < differs(stream)
    assert page.problems == []


def test_other_pictures_are_panned_and_zoomed(page: browser.Page, address: str) -> None:
    page.open(f"{address}#picture=2")
    assert page.evaluate("Boolean(pgfrs.view) && !document.body.contains(pgfrs.stream && pgfrs.stream.canvas)")
    page.open(f"{address}#picture=0")
    page.evaluate("[...document.querySelectorAll('#tools button')].find(b => b.textContent === 'Zoom').click()")
    page.settle()
    assert page.evaluate("document.body.contains(pgfrs.view.canvas)")
    assert page.problems == []
