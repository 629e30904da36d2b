"""What keeps facts append-only, in the words of each engine."""

from __future__ import annotations

APPEND_ONLY = {
    "prompt": "id",
    "completion": "id",
    "comparison": "id",
    "rater": "id",
    "judgement": "uid",
    "check_item": "seq",
    "finding": "uid",
    "finding_step": "seq",
    "voice": "seq",
    "ai_judge": "id",
    "ai_opinion": "uid",
    "attachment": "uid",
    "assistance": "seq",
    "slate": "id",
    "ranking": "uid",
    "written_answer": "uid",
    "consent": "id",
    "feedback": "uid",
    "exposure": "seq",
    "guideline": "id",
    "guideline_in_force": "seq",
    "onboarding_pass": "seq",
    "round": "id",
    "round_step": "seq",
    "release": "id",
    "release_alias": "seq",
    "experiment": "id",
    "experiment_step": "seq",
    "assignment": "seq",
    "taint": "seq",
    "audit": "seq",
    "tombstone": "seq",
}
"""Table to the column that identifies a row."""

FORGETTING = "palate.forgetting"
"""On PostgreSQL, `SET LOCAL` of this to `on` lets a transaction delete facts and take names out of others, as erasure
does."""


def _parts() -> dict[str, str]:
    parts = {}
    for table, key in APPEND_ONLY.items():
        refuse = f"RAISE(ABORT, '{table} is append-only')"
        for verb in ("UPDATE", "DELETE"):
            parts[f"{table}_no_{verb.lower()}"] = (
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT {refuse}; END"
            )
        # INSERT OR REPLACE deletes without asking the triggers above, and an UPSERT edits. Who writes
        # looks first what is there. The two questions are apart: an OR of them would use one index only.
        known = [f"EXISTS (SELECT 1 FROM {table} WHERE {name} = NEW.{name})" for name in dict.fromkeys((key, "seq"))]
        parts[f"{table}_no_replace"] = (
            f"CREATE TRIGGER IF NOT EXISTS {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN {' OR '.join(known)} BEGIN SELECT {refuse}; END"
        )
    return parts


PARTS = _parts()
"""Name to statement, on SQLite; a file that lacks one is given it when it is opened."""


def postgresql() -> list[str]:
    """Statements for a PostgreSQL that has the tables; doing them again changes nothing."""
    statements = [
        f"""
        CREATE OR REPLACE FUNCTION palate_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP IN ('DELETE', 'UPDATE') AND current_setting('{FORGETTING}', true) = 'on' THEN
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
          END IF;
          RAISE EXCEPTION USING
            MESSAGE = TG_TABLE_NAME || ' is append-only', ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    ]
    for table in APPEND_ONLY:
        for name, when, each in (("edit", "UPDATE OR DELETE", "ROW"), ("truncate", "TRUNCATE", "STATEMENT")):
            statements.append(
                f"CREATE OR REPLACE TRIGGER {table}_no_{name} BEFORE {when} ON {table} "
                f"FOR EACH {each} EXECUTE FUNCTION palate_append_only()"
            )
    return statements


def stamp(revision: str) -> list[str]:
    """Statements that say which revision the tables are of, in the table that Alembic keeps."""
    return [
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
        f"INSERT INTO alembic_version (version_num) VALUES ('{revision}')",
    ]
