"""Alembic's way in: migrate the connection that `detector.library.database` hands over.

A new revision is a new file in `versions/`, numbered after the last, that changes what
`schema.py` changes; raise `detector.library.database.REVISION` with it. Tests hold the three
together.
"""

from alembic import context

from detector.library.database import VERSION_TABLE
from detector.library.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite too: the caller's transaction holds all or nothing
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
