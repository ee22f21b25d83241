"""Files that try to do harm, each made from a number alone: the same number, the same file."""

from __future__ import annotations

import io
import random
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.helpers.bad_clips import still
from tests.helpers.clips import KINDS, picture, write

Mutation = Callable[[random.Random, bytes], bytes]

ENDINGS = (*KINDS, "jpg", "jpeg", "png", "webp", "m3u8", "ffconcat", "sdp", "mpd", "svg", "pdf",
           "txt", "%03d.png", "bin")  # fmt: skip
INTERESTING = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
               0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
# Fields whose values decide how much is allocated, how often is looped, or how time runs.
FIELDS = (b"mvhd", b"tkhd", b"mdhd", b"stts", b"ctts", b"stsz", b"stsc", b"stco", b"stss", b"elst",
          b"avc1", b"hvc1", b"avcC", b"hvcC", b"trun", b"tfhd", b"tfdt", b"moov", b"trak", b"mdia",
          b"minf", b"stbl", b"stsd", b"udta", b"meta", b"ilst", b"avih", b"strh", b"strf", b"idx1",
          b"movi", b"IHDR", b"IDAT", b"VP8X", b"ANMF", b"ANIM", b"VP8L", b"GIF8", b"NETS",
          b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75",
          b"\xff\xc0", b"\xff\xc4", b"\xff\xdb", b"\xff\xe1", b"\x00\x00\x01\xb3",
          b"\x00\x00\x01\xba", b"\x00\x00\x01\x67")  # fmt: skip


def seeds() -> list[bytes]:
    """Small whole files of every kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [write(folder / f"a.{kind}", 8, kind) for kind in KINDS]
        paths.append(write(folder / "first.mp4", 8, muxer={"movflags": "faststart"}))
        paths.append(write(folder / "parts.mp4", 8,
                           muxer={"movflags": "frag_keyframe+empty_moov"}))  # fmt: skip
        paths.append(write(folder / "sound.mkv", 4, "mkv", audio=16000))
        paths.append(write(folder / "tags.mp4", 4, metadata={"title": "x" * 90, "make": "y"}))
        paths += [still(folder / f"s.{kind}", orientation=6) for kind in ("jpg", "png", "webp")]
        frames = [Image.fromarray(picture(n)) for n in range(4)]
        frames[0].save(folder / "m.webp", save_all=True, append_images=frames[1:], duration=40)
        paths.append(folder / "m.webp")
        return [path.read_bytes() for path in paths]


def make(number: int, whole: list[bytes]) -> tuple[str, bytes]:
    """The file of that number: its name and its content.

    Args:
        number: any; equal numbers make equal files of equal seeds.
        whole: what `seeds` gave.
    """
    rng = random.Random(number)
    if rng.random() < 0.06:
        content = rng.choice(WHOLE)(rng, rng.choice(whole))
    else:
        content = rng.choice(whole)
        for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
            content = rng.choice(MUTATIONS)(rng, content)
    ending = rng.choice(ENDINGS) if rng.random() < 0.5 else "mp4"
    return f"case-{number}.{ending}", content[: 4 << 20]


def flip_bits(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content or b"\0")
    most = len(data) if rng.random() < 0.5 else min(len(data), 600)
    for _ in range(rng.choice((1, 2, 8, 64))):
        data[rng.randrange(most)] ^= 1 << rng.randrange(8)
    return bytes(data)


def overwrite(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content or b"\0")
    start = rng.randrange(len(data))
    count = min(rng.choice((1, 4, 16, 200, 4000)), len(data) - start)
    fill = rng.choice((b"\0" * count, b"\xff" * count, rng.randbytes(count)))
    data[start : start + count] = fill
    return bytes(data)


def put_number(rng: random.Random, content: bytes) -> bytes:
    if len(content) < 16:
        return content
    data = bytearray(content)
    most = len(data) - 8 if rng.random() < 0.4 else min(len(data) - 8, 1000)
    place = rng.randrange(most)
    form = rng.choice((">I", "<I", ">H", "<H", ">Q"))
    struct.pack_into(form, data, place, rng.choice(INTERESTING) % (1 << 8 * struct.calcsize(form)))
    return bytes(data)


def put_into_field(rng: random.Random, content: bytes) -> bytes:
    """Absurd sizes, counts, rates: a number into what follows (or precedes) a known mark."""
    places = [content.find(field) for field in FIELDS if field in content]
    if not places:
        return put_number(rng, content)
    place = rng.choice(places) + rng.choice((-4, 4, 8, 12, 16, 20, 24, 28, 32, 76, 80))
    if not 0 <= place <= len(content) - 4:
        return content
    number = rng.choice((*INTERESTING, rng.getrandbits(32)))
    return content[:place] + struct.pack(">I", number) + content[place + 4 :]


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def lose(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.choice((1, 3, 100, 5000)) :]


def repeat(rng: random.Random, content: bytes) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.choice((4, 50, 800))]
    return content[:start] + piece * rng.choice((2, 9, 400)) + content[start:]


def swap(rng: random.Random, content: bytes) -> bytes:
    a, b, c = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def splice(rng: random.Random, content: bytes) -> bytes:
    """The head of one place and the tail of another."""
    a, b = (rng.randrange(len(content) + 1) for _ in range(2))
    return content[:a] + content[b:]


def _boxes(content: bytes) -> list[tuple[int, int]]:
    """Start and end of what may be boxes of an MP4 file, at every depth."""
    found, stack = [], [(0, len(content))]
    while stack and len(found) < 400:
        start, end = stack.pop()
        while start + 8 <= end:
            size = int.from_bytes(content[start : start + 4], "big")
            if not 8 <= size <= end - start:
                break
            found.append((start, start + size))
            if content[start + 4 : start + 8] in (b"moov", b"trak", b"mdia", b"minf", b"stbl",
                                                  b"moof", b"traf", b"edts", b"udta"):  # fmt: skip
                stack.append((start + 8, start + size))
            start += size
    return found


def move_boxes(rng: random.Random, content: bytes) -> bytes:
    """Swap, drop, double, or nest boxes, or say a wrong size of one."""
    boxes = _boxes(content)
    if len(boxes) < 2:
        return swap(rng, content)
    (a, b), (c, d) = sorted(rng.sample(boxes, 2))
    do = rng.randrange(5)
    if do == 0 and b <= c:
        return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]
    if do == 1:
        return content[:a] + content[b:]
    if do == 2:
        return content[:b] + content[a:b] * rng.choice((1, 5, 60)) + content[b:]
    if do == 3:
        inner = content[a:b]
        for _ in range(rng.choice((2, 40, 600))):
            inner = struct.pack(">I", len(inner) + 8) + content[a + 4 : a + 8] + inner
            if len(inner) > 1 << 20:
                break
        return content[:a] + inner + content[b:]
    return content[:a] + struct.pack(">I", rng.choice(INTERESTING)) + content[a + 4 :]


def claim_pixels(rng: random.Random, content: bytes) -> bytes:
    """A PNG whose header says that it is enormous, with the right checksum."""
    size = [rng.choice((1, 31, 32, 8192, 65535, 10**6, 0x7FFFFFFF)) for _ in range(2)]
    depth, colour = rng.choice((1, 8, 16)), rng.choice((0, 2, 3, 6))
    body = b"IHDR" + struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    packed = b"IDAT" + zlib.compress(bytes(rng.choice((10, 10**6))))
    chunks = (body, packed, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


ADDRESSES = ("file:///etc/passwd", "/etc/passwd", "secret.mp4", "../secret.mp4", "fd:0", "pipe:0",
             "http://127.0.0.1:{port}/a.ts", "tcp://127.0.0.1:{port}", "udp://127.0.0.1:{port}",
             "rtmp://127.0.0.1:{port}/x", "concat:secret.mp4|/etc/passwd", "crypto:secret.mp4",
             "subfile,,start,0,end,999,,:/etc/passwd", "data:text/plain,x", "async:secret.mp4",
             "cache:/etc/passwd", "\\\\127.0.0.1\\share\\x")  # fmt: skip
PORT = 47_113


def playlist(rng: random.Random, content: bytes) -> bytes:
    """A list that asks for other files, or addresses."""
    where = rng.choice(ADDRESSES).format(port=PORT)
    text = rng.choice((
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{where}\n#EXT-X-ENDLIST\n",
        f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{where}"\n#EXTINF:1,\n{where}\n',
        f'#EXTM3U\n#EXT-X-MAP:URI="{where}"\n#EXTINF:1,\n{where}\n',
        f"ffconcat version 1.0\nfile '{where}'\nduration 9e99\n",
        f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period>"
        f"<BaseURL>{where}</BaseURL></Period></MPD>",
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {PORT} RTP/AVP 96\n",
        f"<svg xmlns:xlink='http://www.w3.org/1999/xlink'><image xlink:href='{where}'/></svg>",
        f"[playlist]\nFile1={where}\n",
        f"RIFF\x00\x00\x00\x00AVI {where}",
    ))  # fmt: skip
    return text.encode() + (content if rng.random() < 0.3 else b"")


def polyglot(rng: random.Random, content: bytes) -> bytes:
    """Two files in one."""
    other = rng.choice((
        b"%PDF-1.7\n%", b"PK\x03\x04" + bytes(26), b"<html><script>alert(1)</script>",
        b"GIF89a", b"\xff\xd8\xff\xe0\x00\x10JFIF\0", b"\x89PNG\r\n\x1a\n", b"#EXTM3U\n",
        b"RIFF\xff\xff\xff\xffWEBPVP8X", b"RIFF\xff\xff\xff\xffAVI ", b"\x1a\x45\xdf\xa3\xff",
        b"\x00\x00\x00\x18ftypmp42", b"\x47" + bytes(187), b"#!/bin/sh\nexit\n", b"MZ\x90\0",
        b"\x7fELF\x02\x01\x01",
    ))  # fmt: skip
    return other + content if rng.random() < 0.7 else content + other


def nest(rng: random.Random, content: bytes) -> bytes:
    """A container inside a box of a container, some levels deep."""
    for _ in range(rng.choice((1, 3, 30))):
        kind = rng.choice((b"moov", b"mdat", b"udta", b"meta", b"free", b"skip"))
        content = struct.pack(">I", (len(content) + 8) & 0xFFFFFFFF) + kind + content
    return b"\x00\x00\x00\x18ftypmp42\0\0\0\0mp42isom" + content


def bomb(rng: random.Random, content: bytes) -> bytes:
    """Little that unpacks to much: a PNG's compressed text, or profile."""
    text = zlib.compress(bytes(30 << 20), 9)
    kind = rng.choice((b"zTXtComment\0\0", b"iCCPprofile\0\0", b"iTXtx\0\1\0\0\0"))
    chunk = kind + text
    out = io.BytesIO()
    Image.fromarray(picture(1)).save(out, "PNG")
    plain = out.getvalue()
    extra = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return plain[:33] + extra + plain[33:]


def noise(rng: random.Random, content: bytes) -> bytes:
    return rng.randbytes(rng.choice((1, 7, 100, 5000)))


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, flip_bits, flip_bits, overwrite, overwrite, put_number, put_number, put_into_field,
    put_into_field, put_into_field, cut, lose, repeat, swap, splice, move_boxes, move_boxes,
    move_boxes,
)  # fmt: skip
WHOLE: tuple[Mutation, ...] = (claim_pixels, playlist, playlist, polyglot, polyglot, nest, bomb,
                               noise)  # fmt: skip
