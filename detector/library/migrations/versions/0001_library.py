"""The library: analyses with their face scores, pictures and tags."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _owner() -> sa.Column[int]:
    return sa.Column(
        "analysis_id",
        sa.Integer(),
        sa.ForeignKey("analysis.id", ondelete="CASCADE"),
        primary_key=True,
    )


def upgrade() -> None:
    op.create_table(
        "analysis",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("kept_at", sa.Double(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("duration", sa.Double(), nullable=False),
        sa.Column("band", sa.String(16)),
        sa.Column("band_rank", sa.SmallInteger(), nullable=False),
        sa.Column("logit", sa.Double()),
        sa.Column("score", sa.Double()),
        sa.Column("states", sa.JSON(), nullable=False),
        sa.Column("faces", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("cover_frame", sa.Integer()),
        sa.Column("cover_track", sa.Integer()),
        sa.Column("source", sa.Text()),
        sa.Column("clip_file", sa.Text()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("analysis_clip", "analysis", ["sha256", "fingerprint"])
    op.create_index("analysis_created", "analysis", ["created_at"])
    op.create_index("analysis_score", "analysis", ["score"])
    op.create_index("analysis_band", "analysis", ["band_rank", "created_at"])
    op.create_index("analysis_name", "analysis", ["name_key"])
    op.create_table("document", _owner(), sa.Column("json", sa.LargeBinary(), nullable=False))
    op.create_table(
        "face_score",
        _owner(),
        sa.Column("frame", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("place", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("track", sa.Integer()),
        sa.Column("score", sa.Double()),
        sa.Column("logit", sa.Double()),
        sa.Column("logits", sa.JSON(none_as_null=True)),
        sa.Column("spread", sa.Double()),
        sa.Column("disagree", sa.Boolean(), nullable=False),
        sa.Column("size", sa.Double()),
        sa.Column("sharpness", sa.Double()),
        sa.Column("brightness", sa.Double()),
        sa.Column("usable", sa.Boolean()),
        sa.Column("detection_score", sa.Double()),
        sa.Column("left", sa.Double()),
        sa.Column("top", sa.Double()),
        sa.Column("right", sa.Double()),
        sa.Column("bottom", sa.Double()),
        sqlite_with_rowid=False,
    )
    op.create_index("face_score_score", "face_score", ["score"])
    op.create_index("face_score_of_analysis", "face_score", ["analysis_id", "score"])
    op.create_table(
        "thumbnail",
        _owner(),
        sa.Column("frame", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("track", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("jpeg", sa.LargeBinary(), nullable=False),
    )
    op.create_table("tag", _owner(), sa.Column("name", sa.String(80), primary_key=True))
    op.create_index("tag_name", "tag", ["name"])


def downgrade() -> None:
    for table in ("tag", "thumbnail", "face_score", "document", "analysis"):
        op.drop_table(table)
