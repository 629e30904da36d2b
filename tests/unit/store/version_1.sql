-- A journal as version 1 wrote it.
PRAGMA application_id = 1348562017;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE comparison (
	seq INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	prompt VARCHAR(16) NOT NULL, 
	first VARCHAR(16) NOT NULL, 
	second VARCHAR(16) NOT NULL, 
	source TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id), 
	FOREIGN KEY(prompt) REFERENCES prompt (id), 
	FOREIGN KEY(first) REFERENCES completion (id), 
	FOREIGN KEY(second) REFERENCES completion (id)
);
INSERT INTO "comparison" VALUES(1,'6098f2e2e2c16f7f','e6670922f9c50333','914869855dd0d173','3188c8e19f7d2628','round-1');
INSERT INTO "comparison" VALUES(2,'ce40778d666f4fcb','fab07324d02a8c88','5637e794533e5950','5a3b14a2b8f846f5','round-1');
INSERT INTO "comparison" VALUES(3,'7dee3bbe0aa4c6d7','ed2b51c7b75372de','2b2090ebf4ca7fdd','fa87d23d7964142d','round-1');
INSERT INTO "comparison" VALUES(4,'595cf8d92599fb44','5dcda0472fd66cf2','641fa7360b1ed83f','fd51be7dcc37b84f','round-1');
CREATE TABLE completion (
	seq INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	prompt VARCHAR(16) NOT NULL, 
	text TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	temperature FLOAT, 
	sample INTEGER NOT NULL, 
	finished INTEGER NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id), 
	FOREIGN KEY(prompt) REFERENCES prompt (id)
);
INSERT INTO "completion" VALUES(1,'914869855dd0d173','e6670922f9c50333','It is even.','policy-0',1.0,0,1);
INSERT INTO "completion" VALUES(2,'3188c8e19f7d2628','e6670922f9c50333','I do not know – sorry.','policy-0',1.0,1,1);
INSERT INTO "completion" VALUES(3,'5637e794533e5950','fab07324d02a8c88','It is even.','policy-0',1.0,0,1);
INSERT INTO "completion" VALUES(4,'5a3b14a2b8f846f5','fab07324d02a8c88','I do not know – sorry.','policy-0',1.0,1,1);
INSERT INTO "completion" VALUES(5,'2b2090ebf4ca7fdd','ed2b51c7b75372de','It is even.','policy-0',1.0,0,1);
INSERT INTO "completion" VALUES(6,'fa87d23d7964142d','ed2b51c7b75372de','I do not know – sorry.','policy-0',1.0,1,1);
INSERT INTO "completion" VALUES(7,'641fa7360b1ed83f','5dcda0472fd66cf2','It is even.','policy-0',1.0,0,1);
INSERT INTO "completion" VALUES(8,'fd51be7dcc37b84f','5dcda0472fd66cf2','I do not know – sorry.','policy-0',1.0,1,1);
CREATE TABLE judgement (
	seq INTEGER NOT NULL, 
	uid TEXT NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	rater TEXT NOT NULL, 
	verdict TEXT NOT NULL, 
	strength INTEGER NOT NULL, 
	reasons TEXT NOT NULL, 
	note TEXT NOT NULL, 
	guideline TEXT NOT NULL, 
	seconds FLOAT, 
	judged_at TEXT NOT NULL, 
	supersedes TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (uid), 
	FOREIGN KEY(comparison) REFERENCES comparison (id), 
	FOREIGN KEY(rater) REFERENCES rater (id)
);
INSERT INTO "judgement" VALUES(1,'u0','6098f2e2e2c16f7f','ada','first',2,'["clear"]','n','g1',12.5,'2026-11-20T10:00:00.000+00:00','');
INSERT INTO "judgement" VALUES(2,'u1','ce40778d666f4fcb','ada','tie',2,'["clear"]','n','g1',12.5,'2026-11-20T10:00:00.000+00:00','');
INSERT INTO "judgement" VALUES(3,'u2','7dee3bbe0aa4c6d7','ada','skip',2,'["clear"]','n','g1',12.5,'2026-11-20T10:00:00.000+00:00','');
INSERT INTO "judgement" VALUES(4,'u0b','6098f2e2e2c16f7f','ada','second',0,'[]','','',NULL,'2026-11-20T11:00:00.000+00:00','u0');
CREATE TABLE lease (
	seq INTEGER NOT NULL, 
	uid TEXT NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	rater TEXT NOT NULL, 
	expires_s FLOAT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (uid), 
	FOREIGN KEY(comparison) REFERENCES comparison (id)
);
INSERT INTO "lease" VALUES(1,'b706873da60c48edbe4be1b7b15d3ab9','6098f2e2e2c16f7f','bot',4.79527620194076251982e+09);
CREATE TABLE prompt (
	seq INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	messages TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "prompt" VALUES(1,'e6670922f9c50333','[{"role": "user", "content": "What is 0 and 0?"}]','sums');
INSERT INTO "prompt" VALUES(2,'fab07324d02a8c88','[{"role": "user", "content": "What is 1 and 1?"}]','sums');
INSERT INTO "prompt" VALUES(3,'ed2b51c7b75372de','[{"role": "user", "content": "What is 2 and 2?"}]','sums');
INSERT INTO "prompt" VALUES(4,'5dcda0472fd66cf2','[{"role": "user", "content": "What is 3 and 3?"}]','sums');
CREATE TABLE rater (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "rater" VALUES(1,'ada','person');
INSERT INTO "rater" VALUES(2,'bot','simulated');
CREATE INDEX comparison_source ON comparison (source);
CREATE INDEX judgement_comparison ON judgement (comparison, rater);
CREATE INDEX judgement_rater ON judgement (rater);
CREATE INDEX lease_comparison ON lease (comparison);
CREATE INDEX judgement_supersedes ON judgement (supersedes) WHERE supersedes <> '';
CREATE TRIGGER prompt_no_update BEFORE UPDATE ON prompt BEGIN SELECT RAISE(ABORT, 'prompt is append-only'); END;
CREATE TRIGGER prompt_no_delete BEFORE DELETE ON prompt BEGIN SELECT RAISE(ABORT, 'prompt is append-only'); END;
CREATE TRIGGER prompt_no_replace BEFORE INSERT ON prompt WHEN EXISTS (SELECT 1 FROM prompt WHERE id = NEW.id OR seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'prompt is append-only'); END;
CREATE TRIGGER completion_no_update BEFORE UPDATE ON completion BEGIN SELECT RAISE(ABORT, 'completion is append-only'); END;
CREATE TRIGGER completion_no_delete BEFORE DELETE ON completion BEGIN SELECT RAISE(ABORT, 'completion is append-only'); END;
CREATE TRIGGER completion_no_replace BEFORE INSERT ON completion WHEN EXISTS (SELECT 1 FROM completion WHERE id = NEW.id OR seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'completion is append-only'); END;
CREATE TRIGGER comparison_no_update BEFORE UPDATE ON comparison BEGIN SELECT RAISE(ABORT, 'comparison is append-only'); END;
CREATE TRIGGER comparison_no_delete BEFORE DELETE ON comparison BEGIN SELECT RAISE(ABORT, 'comparison is append-only'); END;
CREATE TRIGGER comparison_no_replace BEFORE INSERT ON comparison WHEN EXISTS (SELECT 1 FROM comparison WHERE id = NEW.id OR seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'comparison is append-only'); END;
CREATE TRIGGER rater_no_update BEFORE UPDATE ON rater BEGIN SELECT RAISE(ABORT, 'rater is append-only'); END;
CREATE TRIGGER rater_no_delete BEFORE DELETE ON rater BEGIN SELECT RAISE(ABORT, 'rater is append-only'); END;
CREATE TRIGGER rater_no_replace BEFORE INSERT ON rater WHEN EXISTS (SELECT 1 FROM rater WHERE id = NEW.id OR seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'rater is append-only'); END;
CREATE TRIGGER judgement_no_update BEFORE UPDATE ON judgement BEGIN SELECT RAISE(ABORT, 'judgement is append-only'); END;
CREATE TRIGGER judgement_no_delete BEFORE DELETE ON judgement BEGIN SELECT RAISE(ABORT, 'judgement is append-only'); END;
CREATE TRIGGER judgement_no_replace BEFORE INSERT ON judgement WHEN EXISTS (SELECT 1 FROM judgement WHERE uid = NEW.uid OR seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'judgement is append-only'); END;
COMMIT;
