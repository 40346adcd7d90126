"""One attachment per event."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply the change."""
    with op.batch_alter_table("events") as table:
        table.add_column(sa.Column("attachment_name", sa.String(length=255), nullable=True))
        table.add_column(sa.Column("attachment_key", sa.String(length=32), nullable=True))
        table.add_column(sa.Column("attachment_size", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Undo the change."""
    with op.batch_alter_table("events") as table:
        table.drop_column("attachment_size")
        table.drop_column("attachment_key")
        table.drop_column("attachment_name")
