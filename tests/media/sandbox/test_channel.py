"""Messages arrive whole, and what is no message is refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from detector.media.sandbox.channel import Channel, ChannelError, Message


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff\xff\x00\x00\x00\x00",
        b"\x02\x00\x00\x00\xff\xff\xff\xff{}",
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
        b"\x03\x00\x00\x00\x00\x00\x00\x00{]}",
        b"\x00\x10\x00\x00\x00\x00\x00\x00" + b"[" * 4096,
        b"\x09\x00\x00\x00\x00\x00\x00\x00{",
    ],
    ids=["long header", "long payload", "no object", "no JSON", "deep", "cut off"],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    ours, theirs = Channel.pair()
    theirs.sendall(raw)
    theirs.close()
    channel = Channel(ours)
    with pytest.raises(ChannelError):
        channel.receive(5)
    channel.close()


@pytest.fixture
def channels() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = Channel.pair()
    pair = Channel(ours), Channel(theirs, files=True)
    yield pair
    for channel in pair:
        channel.close()


def test_messages_arrive_whole(channels: tuple[Channel, Channel], tmp_path: Path) -> None:
    ours, theirs = channels
    payload = os.urandom(3 << 20)
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"handed over")
        file.flush()
        sender = threading.Thread(
            target=ours.send, args=({"do": "“this”"}, payload, (file.fileno(),))
        )
        sender.start()
        message = theirs.receive(10)
        sender.join()
    assert (message.header, message.payload) == ({"do": "“this”"}, payload)
    (number,) = message.files
    os.lseek(number, 0, os.SEEK_SET)
    assert os.read(number, 99) == b"handed over"
    os.close(number)
    theirs.send({"is": "fine"})
    assert ours.receive(10) == Message({"is": "fine"})
    with pytest.raises(TimeoutError):
        ours.receive(0.05)
