"""detector.result: read back equal, and whatever is no result refused in one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.errors import ResultError
from detector.result import SCHEMA_VERSION, Analysis, json_schema
from tests.helpers.examples import example
from tests.helpers.processes import python

WHOLE = json.loads(example().to_json())
quick = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,  # the same examples on every machine
    suppress_health_check=[HealthCheck.too_slow],
)


def refusal(text: str | bytes) -> str:
    """The sentence with which `text` is refused."""
    with pytest.raises(ResultError) as caught:
        Analysis.from_json(text)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert sentence.isprintable()
    assert len(sentence) < 400
    return sentence


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value in parsed JSON, one element of each list."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*path, key)
            yield from places(part, (*path, key))
    elif isinstance(value, list) and value:
        yield (*path, 0)
        yield from places(value[0], (*path, 0))


def changed(path: tuple[str | int, ...], value: Any) -> str:
    """The whole result as JSON, with one value in another's place."""
    whole = json.loads(json.dumps(WHOLE))
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(whole)


def named(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path))


def at(path: tuple[str | int, ...]) -> Any:
    value = WHOLE
    for step in path:
        value = value[step]
    return value


EVERYWHERE = list(places(WHOLE))
NUMBERS = [
    path
    for path in EVERYWHERE
    if isinstance(at(path), int | float) and not isinstance(at(path), bool)
]


# ---------------------------------------------------------------- read back equal


def test_every_sample_is_read_back_equal(sample_analyses: dict[str, Analysis]) -> None:
    assert len(sample_analyses) >= 11
    for analysis in sample_analyses.values():
        text = analysis.to_json()
        assert Analysis.from_json(text) == analysis
        assert Analysis.from_json(text.encode()) == analysis
        assert Analysis.from_json(text).to_json() == text


@pytest.mark.parametrize(
    "analysis",
    [
        example(),
        example(faces=0),
        example(frames=1, duration=0.0),
        example(frames=2),
        example(name="“quotes” <b>\n\t\\ 🎬 \x00 \u2028.mp4"),
        example(name=""),
    ],
    ids=["plain", "no face", "still", "too few", "odd name", "no name"],
)
def test_every_kind_of_result_is_read_back_equal(analysis: Analysis) -> None:
    assert Analysis.from_json(analysis.to_json()) == analysis


@quick
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_survives(number: float) -> None:
    analysis = example()
    face = dataclasses.replace(analysis.frames[0].faces[0], logit=number)
    frame = dataclasses.replace(analysis.frames[0], faces=(face,), time=number)
    analysis = dataclasses.replace(analysis, frames=(frame,))
    assert Analysis.from_json(analysis.to_json()) == analysis


def test_every_frame_may_be_asked_for() -> None:
    """`requested` is None then, as are scores that do not exist."""
    analysis = example()
    every = dataclasses.replace(
        analysis, sampling=dataclasses.replace(analysis.sampling, requested=None)
    )
    assert Analysis.from_json(every.to_json()).sampling.requested is None


def test_json_is_plain_and_finite(sample_analyses: dict[str, Analysis]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"JSON has no {constant}")

    for analysis in sample_analyses.values():
        whole = json.loads(analysis.to_json(), parse_constant=refuse)
        assert whole["schema_version"] == SCHEMA_VERSION
        jsonschema.validate(whole, json_schema())


def test_a_track_is_found_by_its_number() -> None:
    analysis = example()
    assert analysis.track(2) is analysis.tracks[1]
    with pytest.raises(ResultError, match="There is no face 9 in this analysis"):
        analysis.track(9)


# ---------------------------------------------------------------- versions


@pytest.mark.parametrize("version", ["2.0", "2.7", "10.0", "99999.1"])
def test_a_newer_schema_is_refused(version: str) -> None:
    sentence = refusal(changed(("schema_version",), version))
    assert sentence == (
        f"This result has schema {version}, newer than {SCHEMA_VERSION}; "
        "update Veriframe to read it."
    )


def test_a_newer_schema_is_named_whatever_else_it_holds() -> None:
    assert "newer than" in refusal('{"schema_version": "3.0", "clips": []}')


def test_the_same_schema_with_new_fields_is_read() -> None:
    major = SCHEMA_VERSION.split(".", maxsplit=1)[0]
    later = changed(("schema_version",), f"{major}.99")
    whole = json.loads(later)
    whole["unknown"] = {"deep": [1, None, "x"]}
    whole["clip"]["unknown"] = True
    whole["frames"][0]["faces"][0]["unknown"] = "later"
    read = Analysis.from_json(json.dumps(whole))
    assert dataclasses.replace(read, schema_version=SCHEMA_VERSION) == example()


@pytest.mark.parametrize("version", ["", "x", "one.two", 1, 1.0, None, [], "9" * 5000, "9\n9.0"])
def test_a_version_that_is_none_is_refused(version: Any) -> None:
    assert "not a Veriframe result" in refusal(changed(("schema_version",), version))


@pytest.mark.parametrize("version", ["9" * 4000 + ".0", "7.<b>\n" + "x" * 500])
def test_a_strange_version_does_not_spoil_the_sentence(version: str) -> None:
    refusal(changed(("schema_version",), version))


def test_a_strange_key_does_not_spoil_the_sentence() -> None:
    sentence = refusal(changed(("frames", 0, "faces", 0, "logits"), {"<b>\n" + "x" * 900: "y"}))
    assert "<b>" not in sentence


# ---------------------------------------------------------------- damaged


NO_RESULT: dict[str, str | bytes] = {
    "empty": "",
    "blank": "  \n",
    "text": "hello",
    "html": "<html></html>",
    "list": "[]",
    "number": "7",
    "null": "null",
    "object": "{}",
    "no utf-8": b"\xff\xfe\x00garbage",
    "binary": bytes(range(256)),
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "two": "{}{}",
    "lone surrogate": '{"schema_version": "\ud800"}',
}


@pytest.mark.parametrize("text", NO_RESULT.values(), ids=NO_RESULT)
def test_what_is_no_result_is_refused(text: str | bytes) -> None:
    assert refusal(text) == (
        "This is not a Veriframe result; choose a JSON file that Veriframe has saved."
    )


@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_cut_file_is_refused(part: float) -> None:
    text = example().to_json()
    refusal(text[: int(len(text) * part)])
    refusal(text.encode()[: int(len(text) * part)])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_other_encodings_are_read_or_refused(encoding: str) -> None:
    with contextlib.suppress(ResultError):
        assert Analysis.from_json(example().to_json().encode(encoding)) == example()


OPTIONAL = {"quantized_sha256"}  # came with schema 1.1: results of 1.0 lack it
REQUIRED = [
    path for path in EVERYWHERE if not isinstance(path[-1], int) and path[-1] not in OPTIONAL
]


@pytest.mark.parametrize("path", REQUIRED, ids=map(named, REQUIRED))
def test_a_missing_value_is_refused(path: tuple[str | int, ...]) -> None:
    whole = json.loads(json.dumps(WHOLE))
    holder = whole
    for step in path[:-1]:
        holder = holder[step]
    holder.pop(path[-1])
    if path[-2:-1] == ("logits",):  # which networks there are is data, not form
        assert Analysis.from_json(json.dumps(whole))
    elif path == ("schema_version",):
        assert "not a Veriframe result" in refusal(json.dumps(whole))
    else:
        assert f"damaged at “{named(path)}”" in refusal(json.dumps(whole))


@pytest.mark.parametrize("path", EVERYWHERE, ids=map(named, EVERYWHERE))
def test_a_value_of_another_type_is_refused(path: tuple[str | int, ...]) -> None:
    wrong: Any = {"a": "b"} if not isinstance(at(path), dict) else "text"
    assert named(path).split(".")[0] in refusal(changed(path, wrong)) or path[0] == "schema_version"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("path", NUMBERS, ids=map(named, NUMBERS))
def test_a_number_that_is_none_is_refused_everywhere(
    path: tuple[str | int, ...], number: float
) -> None:
    assert f"damaged at “{named(path)}”" in refusal(changed(path, number))


@pytest.mark.parametrize("path", NUMBERS, ids=map(named, NUMBERS))
def test_a_number_beyond_all_bounds_is_refused(path: tuple[str | int, ...]) -> None:
    text = changed(path, "@").replace('"@"', "1e999")
    refusal(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("finding", "band"), "certain"),
        (("finding", "states"), ["unknown_state"]),
        (("tracks", 0, "band"), "LITTLE"),
        (("frames", 0, "faces", 0, "box"), [1, 2, 3]),
        (("frames", 0, "faces", 0, "box"), [1, 2, 3, 4, 5]),
        (("frames", 0, "faces", 0, "key_points"), [[1], [2]]),
        (("clip", "frames"), 1.5),
    ],
)
def test_values_outside_their_set_are_refused(path: tuple[str | int, ...], value: Any) -> None:
    refusal(changed(path, value))


# ---------------------------------------------------------------- anything at all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read_or_refuse(text: str | bytes) -> None:
    refused = ""
    try:
        assert isinstance(Analysis.from_json(text), Analysis)
    except ResultError as error:
        refused = str(error)
    assert refused == "" or (refused.endswith(".") and refused.isprintable())


@quick
@given(text=st.text() | st.binary())
def test_any_text_or_bytes_are_read_or_refused(text: str | bytes) -> None:
    read_or_refuse(text)


@quick
@given(value=json_values, version=st.sampled_from(["1.0", "1.7", "0.1", "-1", "2.0", "١.0"]))
def test_any_json_is_read_or_refused(value: Any, version: str) -> None:
    read_or_refuse(json.dumps(value))
    read_or_refuse(json.dumps({"schema_version": version, "clip": value, "frames": value}))


@quick
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(EVERYWHERE))
    text = changed(path, data.draw(json_values))
    read_or_refuse(text)
    read_or_refuse(text.encode("utf-8", "surrogatepass"))


@quick
@given(position=st.integers(0, 10**6), replaced=st.binary(min_size=1, max_size=8))
def test_any_damage_is_read_or_refused(position: int, replaced: bytes) -> None:
    data = bytearray(json.dumps(WHOLE).encode())
    position %= len(data)
    data[position : position + len(replaced)] = replaced
    read_or_refuse(bytes(data))


def test_what_is_read_from_strange_input_can_be_written_again() -> None:
    """A name with half a surrogate pair is legal JSON, and no legal UTF-8."""
    text = json.dumps(WHOLE).replace('"clip.mp4"', '"\\ud83c.mp4"')
    try:
        analysis = Analysis.from_json(text)
    except ResultError:
        return
    assert Analysis.from_json(analysis.to_json()) == analysis


def test_the_schema_describes_every_field() -> None:
    schema = json_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    jsonschema.Draft202012Validator.check_schema(schema)
    named_fields = {name for part in schema["$defs"].values() for name in part["properties"]}
    assert {"presentation", "nothing"}.isdisjoint(named_fields)
    assert {"sha256", "logits", "band", "key_points", "sharpness"} <= named_fields


@pytest.fixture(scope="module")
def validator() -> Callable[[Any], None]:
    checker = jsonschema.Draft202012Validator(json_schema())
    return checker.validate


@pytest.mark.parametrize("path", [("finding", "band"), ("clip", "sha256"), ("tracks", 0, "id")])
def test_the_schema_refuses_what_the_reader_refuses(
    validator: Callable[[Any], None], path: tuple[str | int, ...]
) -> None:
    validator(WHOLE)
    broken = json.loads(changed(path, {"a": 1}))
    with pytest.raises(jsonschema.ValidationError):
        validator(broken)


def test_importing_the_type_needs_no_pydantic() -> None:
    code = "import sys, detector.result; print('pydantic' in sys.modules)"
    printed = python(code)
    assert printed == "False"
