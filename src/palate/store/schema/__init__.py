"""The tables of the journal: facts, which are only ever added, and working tables, which come and go.

One row of a fact is one thing that happened. Facts are never changed, replaced or removed: the database itself
refuses, see `guards`. Only erasure takes facts away, and leaves a tombstone.
"""

from __future__ import annotations

from palate.store.schema import guards as guards
from palate.store.schema.attachments import assistance as assistance
from palate.store.schema.attachments import attachment as attachment
from palate.store.schema.columns import metadata as metadata
from palate.store.schema.facts import check_item as check_item
from palate.store.schema.facts import comparison as comparison
from palate.store.schema.facts import completion as completion
from palate.store.schema.facts import judgement as judgement
from palate.store.schema.facts import prompt as prompt
from palate.store.schema.facts import rater as rater
from palate.store.schema.findings import finding as finding
from palate.store.schema.findings import finding_step as finding_step
from palate.store.schema.findings import voice as voice
from palate.store.schema.guards import APPEND_ONLY as APPEND_ONLY
from palate.store.schema.guards import PARTS as PARTS
from palate.store.schema.opinions import ai_judge as ai_judge
from palate.store.schema.opinions import ai_opinion as ai_opinion
from palate.store.schema.policy import audit as audit
from palate.store.schema.policy import guideline as guideline
from palate.store.schema.policy import guideline_in_force as guideline_in_force
from palate.store.schema.policy import onboarding_pass as onboarding_pass
from palate.store.schema.policy import tombstone as tombstone
from palate.store.schema.rounds import assignment as assignment
from palate.store.schema.rounds import experiment as experiment
from palate.store.schema.rounds import experiment_step as experiment_step
from palate.store.schema.rounds import release as release
from palate.store.schema.rounds import release_alias as release_alias
from palate.store.schema.rounds import round_ as round_
from palate.store.schema.rounds import round_step as round_step
from palate.store.schema.rounds import taint as taint
from palate.store.schema.signals import consent as consent
from palate.store.schema.signals import exposure as exposure
from palate.store.schema.signals import feedback as feedback
from palate.store.schema.signals import ranking as ranking
from palate.store.schema.signals import slate as slate
from palate.store.schema.signals import written_answer as written_answer
from palate.store.schema.working import HELD as HELD
from palate.store.schema.working import OPEN as OPEN
from palate.store.schema.working import account as account
from palate.store.schema.working import chat as chat
from palate.store.schema.working import counter as counter
from palate.store.schema.working import draft as draft
from palate.store.schema.working import invitation as invitation
from palate.store.schema.working import lease as lease
from palate.store.schema.working import position as position
from palate.store.schema.working import profile as profile
from palate.store.schema.working import session as session
from palate.store.schema.working import setting as setting
from palate.store.schema.working import task as task
from palate.store.schema.working import token as token

VERSION = 6
"""Of the tables; stands in `PRAGMA user_version` of a file."""
HEAD = f"{VERSION:04d}"
"""The same as Alembic's revision; stands in `alembic_version`."""
APPLICATION_ID = 0x50616C61
"""`Pala`: tells a journal from any other SQLite file."""
