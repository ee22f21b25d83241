"""The tables of the library; `detector.library.migrations` holds how they came to be.

The analysis itself is kept whole, as compressed JSON; the other columns and tables repeat
what people search, sort and filter by, so that no page has to read a thousand results.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData()


def _owner() -> Column[int]:
    """Return the column that names a row's analysis; the row goes when that goes."""
    return Column("analysis_id", ForeignKey("analysis.id", ondelete="CASCADE"), primary_key=True)


analysis = Table(
    "analysis",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of JSON and owner
    Column("owner", Text, nullable=False, server_default=""),  # who logged in; "" without login
    Column("sha256", String(64), nullable=False),  # of the clip
    Column("fingerprint", String(64), nullable=False),  # of models and settings
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),  # case folded, to sort by
    Column("created_at", Double, nullable=False),  # seconds since 1970, UTC
    Column("kept_at", Double, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("duration", Double, nullable=False),
    Column("band", String(16)),
    Column("band_rank", SmallInteger, nullable=False),  # 0 without a band, then 1 to 4
    Column("logit", Double),
    Column("score", Double),
    Column("states", JSON, nullable=False),
    Column("faces", Integer, nullable=False),  # tracks
    Column("frames", Integer, nullable=False),  # analysed
    Column("model_version", Text, nullable=False),
    Column("cover_frame", Integer),  # the strongest face, to stand for the clip
    Column("cover_track", Integer),
    Column("source", Text),  # where the clip lay, where the person let that be kept
    Column("clip_file", Text),  # the kept clip's name in the data folder, where asked for
    Column("note", Text, nullable=False),
    Column("search_text", Text, nullable=False),  # case folded: name, hash, tags, note
    Index("analysis_clip", "sha256", "fingerprint"),
    Index("analysis_created", "created_at"),
    Index("analysis_score", "score"),
    Index("analysis_band", "band_rank", "created_at"),
    Index("analysis_name", "name_key"),
    Index("analysis_owner", "owner"),
    sqlite_autoincrement=True,  # a deleted analysis's number is never given to another
)

document = Table("document", metadata, _owner(), Column("json", LargeBinary, nullable=False))

face_score = Table(
    "face_score",
    metadata,
    _owner(),
    Column("frame", Integer, primary_key=True, autoincrement=False),
    Column("place", SmallInteger, primary_key=True, autoincrement=False),  # of the face in it
    Column("time", Double, nullable=False),
    Column("track", Integer),  # this and all below: NULL for a frame without faces
    Column("score", Double),
    Column("logit", Double),
    Column("logits", JSON(none_as_null=True)),
    Column("spread", Double),  # between the networks' calibrated logits
    Column("disagree", Boolean, nullable=False),
    Column("size", Double),
    Column("sharpness", Double),
    Column("brightness", Double),
    Column("usable", Boolean),
    Column("detection_score", Double),
    Column("left", Double),
    Column("top", Double),
    Column("right", Double),
    Column("bottom", Double),
    Index("face_score_score", "score"),
    Index("face_score_of_analysis", "analysis_id", "score"),
    sqlite_with_rowid=False,
)

thumbnail = Table(
    "thumbnail",
    metadata,
    _owner(),
    Column("frame", Integer, primary_key=True, autoincrement=False),
    Column("track", Integer, primary_key=True, autoincrement=False),  # 0: the whole frame
    Column("jpeg", LargeBinary, nullable=False),
)

tag = Table(
    "tag",
    metadata,
    _owner(),
    Column("name", String(80), primary_key=True),
    Index("tag_name", "name"),
)

job = Table(
    "job",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", Text, nullable=False),  # id of the token that sent the clip, for fair turns
    Column("key", String(64), unique=True),  # owner, clip, settings, models; NULL: may come again
    Column("state", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),  # of the clip
    Column("fingerprint", String(64), nullable=False),  # of models and settings
    Column("settings", JSON, nullable=False),
    Column("created_at", Double, nullable=False),  # seconds since 1970, UTC, as all below
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("attempts", Integer, nullable=False),
    Column("done", Integer, nullable=False),  # frames
    Column("total", Integer, nullable=False),
    Column("error", Text),
    Column("analysis_id", ForeignKey("analysis.id", ondelete="SET NULL")),
    Column("home", String(32), nullable=False),  # the data folder in which the clip waits
    Column("worker", String(32), nullable=False),  # the process that has it
    Column("seen_at", Double, nullable=False),  # when that process was last known to live
    Index("job_owner", "owner", "created_at"),
    Index("job_state", "state"),
    Index("job_analysis", "analysis_id"),
)

token = Table(
    "token",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("sha256", String(64), nullable=False),  # of the secret, which is nowhere kept
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
)
