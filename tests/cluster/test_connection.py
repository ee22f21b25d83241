"""detector.cluster.connection: what does not answer is one sentence, soon."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import pytest

from detector.cluster.connection import check_answers
from detector.commands.cli import main
from detector.errors import ClusterError
from tests.helpers.processes import python


@pytest.mark.parametrize("address", ["nonsense", "host", "host:", "http://host:1", "host:99999"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ClusterError, match=r"is no address of a Ray cluster; write local"):
        check_answers(address)


def test_port_that_is_closed() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: nobody else takes it
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"No Ray cluster answers at {address} .*refused"):
            check_answers(address)
    with pytest.raises(ClusterError, match="does not run through Ray Client"):
        check_answers("ray://127.0.0.1:10001")


def test_port_that_is_no_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(ClusterError, match=r"nothing within 3 s\); check the address"):
            check_answers(address, within=3)
        assert time.monotonic() - started < 30


def test_command_says_it_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    out = tmp_path / "out"
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        command = ["scan", str(tmp_path), "--ray", address, "--out", str(out)]
        assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"veriframe: No Ray cluster answers at {address}")
    assert said.err.count("\n") == 1
    assert not out.exists()


def test_without_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["scan", str(tmp_path), "--ray", "local", "--out", str(tmp_path / "out")]) == 2
    assert "Ray is not installed; run “pip install -r requirements.cluster.txt”" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--ray", "local"], "Say with --out where"),
        (["--out", "out"], "go with --ray"),
        (["--retry-failed"], "go with --ray"),
        (["--ray", "local", "--out", "out", "--keep"], "do not go with --ray"),
    ],
)
def test_options_that_do_not_fit(
    more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "clips", *more]) == 2
    assert sentence in capsys.readouterr().err


def test_an_address_is_no_clip(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "s3://bucket/clips"]) == 2
    assert "s3://bucket/clips is an address; add --ray local" in capsys.readouterr().err


def test_ray_is_imported_only_when_asked_for() -> None:
    loaded = "sorted({name.split('.')[0] for name in sys.modules} & {'ray', 'pyarrow', 'fsspec'})"
    assert python(f"import sys, detector.commands.scan; print({loaded})") == "[]"
