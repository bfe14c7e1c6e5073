"""Notices, and the home in which a run was started"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('run', sa.Column('home_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False, server_default=''))
    op.create_table('notice',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('subject', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('activation', sa.Float(precision=53), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('created', sa.Float(precision=53), nullable=False),
    sa.Column('told', sa.Float(precision=53), nullable=True),
    sa.Column('outcome', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_notice_run_id_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notice')),
    sa.UniqueConstraint('run_id', 'kind', 'subject', 'activation', name=op.f('uq_notice_run_id_kind_subject_activation'))
    )


def downgrade() -> None:
    op.drop_table('notice')
    op.drop_column('run', 'home_id')
