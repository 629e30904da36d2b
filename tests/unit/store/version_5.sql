-- A journal as version 5 wrote it.
PRAGMA application_id = 1348562017;
PRAGMA user_version = 5;
BEGIN TRANSACTION;
CREATE TABLE account (
	id VARCHAR(32) NOT NULL, 
	name TEXT NOT NULL, 
	email TEXT NOT NULL, 
	password TEXT NOT NULL, 
	role TEXT NOT NULL, 
	rater TEXT NOT NULL, 
	active INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "account" VALUES('93b84ec7db284d13bcff99ff019e7b97','Ada','ada@example.org','$argon2id$v=19$m=8,t=1,p=1$YYOmBKtMJGxoQnGkZMtswQ$npunVvzKmxVMfZMGhWvyrYn1b9EVnUQw/NjKTQ4EhdM','owner','r-4a4eb17ef5c9e7c80982',1,'2026-11-21T23:51:13.861+00:00');
CREATE TABLE ai_judge (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	model TEXT NOT NULL, 
	template TEXT NOT NULL, 
	template_id TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(id) REFERENCES rater (id), 
	UNIQUE (id)
);
INSERT INTO "ai_judge" VALUES(1,'model-bcd796d89f84093a','a model','folder-1','pairwise-1','t1');
CREATE TABLE ai_opinion (
	seq INTEGER NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	judge TEXT NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	swapped INTEGER NOT NULL, 
	p_first FLOAT, 
	why TEXT NOT NULL, 
	principle TEXT NOT NULL, 
	prompt_tokens INTEGER NOT NULL, 
	completion_tokens INTEGER NOT NULL, 
	said_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(judge) REFERENCES rater (id), 
	FOREIGN KEY(comparison) REFERENCES comparison (id), 
	UNIQUE (uid)
);
INSERT INTO "ai_opinion" VALUES(1,'f32299697718d1d5','model-bcd796d89f84093a','ff6d6d955194d844',0,0.75,'','',0,0,'2026-11-22T06:16:03.058+00:00');
INSERT INTO "ai_opinion" VALUES(2,'a9729b35db491750','model-bcd796d89f84093a','ff6d6d955194d844',1,0.75,'','',0,0,'2026-11-22T06:16:03.058+00:00');
INSERT INTO "ai_opinion" VALUES(3,'95c7463918f6821c','model-bcd796d89f84093a','e679b472d12dae61',0,NULL,'cut off','',0,0,'2026-11-22T06:16:03.058+00:00');
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE assistance (
	seq INTEGER NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	rater TEXT NOT NULL, 
	shown TEXT NOT NULL, 
	withheld TEXT NOT NULL, 
	share FLOAT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(comparison) REFERENCES comparison (id), 
	FOREIGN KEY(rater) REFERENCES rater (id)
);
INSERT INTO "assistance" VALUES(1,'ff6d6d955194d844','r0','["2f667b49201a91d0"]','[]',0.5,'2026-11-22T09:26:07.679+00:00');
CREATE TABLE attachment (
	seq INTEGER NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	kind TEXT NOT NULL, 
	helper TEXT NOT NULL, 
	side TEXT NOT NULL, 
	turn INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	written_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(comparison) REFERENCES comparison (id), 
	UNIQUE (uid)
);
INSERT INTO "attachment" VALUES(1,'2f667b49201a91d0','ff6d6d955194d844','critique','h','first',0,'The second is kinder.','2026-11-22T09:26:07.668+00:00');
CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	action TEXT NOT NULL, 
	object TEXT NOT NULL, 
	details TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "audit" VALUES(1,'2026-11-21T23:51:13.490+00:00','lead','export','dataset 0','{"rows": 3}');
INSERT INTO "audit" VALUES(2,'2026-11-21T23:51:13.562+00:00','','forgot','receipt-b81d484ef48eeb07728a','{"deleted": {"rater": 1}}');
INSERT INTO "audit" VALUES(3,'2026-11-21T23:51:13.651+00:00','lead','export','dataset 1','{"rows": 3}');
INSERT INTO "audit" VALUES(4,'2026-11-21T23:51:13.676+00:00','','forgot','receipt-7e4a5209433e88064999','{"deleted": {"rater": 1}}');
INSERT INTO "audit" VALUES(5,'2026-11-21T23:51:13.750+00:00','lead','export','dataset 2','{"rows": 3}');
INSERT INTO "audit" VALUES(6,'2026-11-21T23:51:13.777+00:00','','forgot','receipt-d32afd2c99c4392ee32c','{"deleted": {"rater": 1}}');
CREATE TABLE chat (
	id VARCHAR(32) NOT NULL, 
	person TEXT NOT NULL, 
	title TEXT NOT NULL, 
	created_s FLOAT NOT NULL, 
	changed_s FLOAT NOT NULL, kind TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "chat" VALUES('fe37b79878adf74fab661e62a3d4c834','p0','A chat',1.7953050738498761654e+09,1.7953050738498761654e+09,'');
CREATE TABLE check_item (
	seq INTEGER NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	expected TEXT NOT NULL, 
	explanation TEXT NOT NULL, 
	clause TEXT NOT NULL, 
	author TEXT NOT NULL, 
	added_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(comparison) REFERENCES comparison (id)
);
INSERT INTO "check_item" VALUES(1,'ff6d6d955194d844','first','','','','2026-11-21T23:51:13.397+00:00');
INSERT INTO "check_item" VALUES(2,'e679b472d12dae61','first','','','','2026-11-21T23:51:13.582+00:00');
INSERT INTO "check_item" VALUES(3,'e4b4bb97b5c7f4ab','first','','','','2026-11-21T23:51:13.685+00:00');
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
INSERT INTO "comparison" VALUES(1,'ff6d6d955194d844','3dc41c57033e99f6','6fbbf0027823a869','4b52938011057763','s');
INSERT INTO "comparison" VALUES(2,'e679b472d12dae61','cbdc22d9ea0b1047','54e5039f07884afd','55f1fd6f5af25856','s');
INSERT INTO "comparison" VALUES(3,'e4b4bb97b5c7f4ab','ceb214f264031e04','02e76b39fd0afd88','4fbffd1673b7aa6d','s');
INSERT INTO "comparison" VALUES(4,'1970767f0adeec50','3dc41c57033e99f6','6fbbf0027823a869','5425823e950f6d38','edit');
INSERT INTO "comparison" VALUES(5,'7f690edf7cf81dbf','cbdc22d9ea0b1047','e948ce7c5fa34d0d','54e5039f07884afd','edit');
INSERT INTO "comparison" VALUES(6,'1f38d0e374a15248','ceb214f264031e04','02e76b39fd0afd88','adf82942ef60d2e6','edit');
INSERT INTO "comparison" VALUES(7,'bf7902250ea15870','ab068d0a933cb292','0b1cad37bc943930','0879ac1cba1955da','s');
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
INSERT INTO "completion" VALUES(1,'6fbbf0027823a869','3dc41c57033e99f6','answer 0','policy-0',NULL,0,1);
INSERT INTO "completion" VALUES(2,'4b52938011057763','3dc41c57033e99f6','answer 1','policy-1',NULL,1,1);
INSERT INTO "completion" VALUES(3,'54e5039f07884afd','cbdc22d9ea0b1047','answer 0','policy-0',NULL,0,1);
INSERT INTO "completion" VALUES(4,'55f1fd6f5af25856','cbdc22d9ea0b1047','answer 1','policy-1',NULL,1,1);
INSERT INTO "completion" VALUES(5,'02e76b39fd0afd88','ceb214f264031e04','answer 0','policy-0',NULL,0,1);
INSERT INTO "completion" VALUES(6,'4fbffd1673b7aa6d','ceb214f264031e04','answer 1','policy-1',NULL,1,1);
INSERT INTO "completion" VALUES(7,'5425823e950f6d38','3dc41c57033e99f6','better 0','person:r2',NULL,0,1);
INSERT INTO "completion" VALUES(8,'e948ce7c5fa34d0d','cbdc22d9ea0b1047','better 1','person:r2',NULL,0,1);
INSERT INTO "completion" VALUES(9,'adf82942ef60d2e6','ceb214f264031e04','better 2','person:r2',NULL,0,1);
INSERT INTO "completion" VALUES(10,'0b1cad37bc943930','ab068d0a933cb292','answer 0','policy-0',NULL,0,1);
INSERT INTO "completion" VALUES(11,'0879ac1cba1955da','ab068d0a933cb292','answer 1','policy-1',NULL,0,1);
INSERT INTO "completion" VALUES(12,'2efc33cdca412281','7bf63177f5fbb955','bad','p',NULL,0,1);
CREATE TABLE consent (
	seq INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	person TEXT NOT NULL, 
	chat TEXT NOT NULL, 
	given INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	given_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "consent" VALUES(1,'d7ec8678b17b2ea6','p0','chat',1,'May we keep this?','2026-11-21T23:51:13.447860+00:00');
INSERT INTO "consent" VALUES(2,'6335546c5535d5b8','p1','chat',1,'May we keep this?','2026-11-21T23:51:13.630755+00:00');
INSERT INTO "consent" VALUES(3,'a9f574339025ae28','p2','chat',1,'May we keep this?','2026-11-21T23:51:13.723764+00:00');
CREATE TABLE counter (
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counter" VALUES('opened',4);
CREATE TABLE draft (
	rater TEXT NOT NULL, 
	comparison TEXT NOT NULL, 
	text TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (rater, comparison)
);
INSERT INTO "draft" VALUES('r2','ff6d6d955194d844','not finished',1.7953050738545627594e+09);
CREATE TABLE exposure (
	seq INTEGER NOT NULL, 
	completion VARCHAR(16) NOT NULL, 
	person TEXT NOT NULL, 
	chat TEXT NOT NULL, 
	shown_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(completion) REFERENCES completion (id)
);
INSERT INTO "exposure" VALUES(1,'6fbbf0027823a869','p0','chat','2026-11-21T23:51:13.457+00:00');
INSERT INTO "exposure" VALUES(2,'54e5039f07884afd','p1','chat','2026-11-21T23:51:13.633+00:00');
INSERT INTO "exposure" VALUES(3,'02e76b39fd0afd88','p2','chat','2026-11-21T23:51:13.729+00:00');
CREATE TABLE feedback (
	seq INTEGER NOT NULL, 
	uid TEXT NOT NULL, 
	completion VARCHAR(16) NOT NULL, 
	kind TEXT NOT NULL, 
	person TEXT NOT NULL, 
	value TEXT NOT NULL, 
	note TEXT NOT NULL, 
	consent TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (uid), 
	FOREIGN KEY(completion) REFERENCES completion (id)
);
INSERT INTO "feedback" VALUES(1,'f0','6fbbf0027823a869','up','p0','','','d7ec8678b17b2ea6','2026-11-21T23:51:13.461+00:00');
INSERT INTO "feedback" VALUES(2,'f1','54e5039f07884afd','up','p1','','','6335546c5535d5b8','2026-11-21T23:51:13.637+00:00');
INSERT INTO "feedback" VALUES(3,'f2','02e76b39fd0afd88','up','p2','','','a9f574339025ae28','2026-11-21T23:51:13.733+00:00');
CREATE TABLE finding (
	seq INTEGER NOT NULL, 
	uid TEXT NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	completion VARCHAR(16) NOT NULL, 
	category TEXT NOT NULL, 
	family TEXT NOT NULL, 
	note TEXT NOT NULL, 
	better TEXT NOT NULL, 
	found_by TEXT NOT NULL, 
	found_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(completion) REFERENCES completion (id), 
	UNIQUE (uid)
);
INSERT INTO "finding" VALUES(1,'94acefbd78e0faed','e235dbd71d7f7168','2efc33cdca412281','harm','by hand','','','r3','2026-11-22T03:54:02.795+00:00');
CREATE TABLE finding_step (
	seq INTEGER NOT NULL, 
	finding VARCHAR(16) NOT NULL, 
	kind TEXT NOT NULL, 
	object TEXT NOT NULL, 
	severity INTEGER NOT NULL, 
	details TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "finding_step" VALUES(1,'e235dbd71d7f7168','confirmed','',2,'','lead','2026-11-22T03:54:02.832+00:00');
CREATE TABLE guideline (
	seq INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	number INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	parent TEXT NOT NULL, 
	author TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "guideline" VALUES(1,'6d2292f60be15f6d',1,'## Clause 0

Be kind.
','','lead','2026-11-21T23:51:13.472+00:00');
INSERT INTO "guideline" VALUES(2,'5692c0353fc689ea',2,'## Clause 1

Be kind.
','','lead','2026-11-21T23:51:13.642+00:00');
INSERT INTO "guideline" VALUES(3,'86f0da3d157f1af9',3,'## Clause 2

Be kind.
','','lead','2026-11-21T23:51:13.738+00:00');
CREATE TABLE guideline_in_force (
	seq INTEGER NOT NULL, 
	guideline VARCHAR(16) NOT NULL, 
	since TEXT NOT NULL, 
	actor TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(guideline) REFERENCES guideline (id)
);
INSERT INTO "guideline_in_force" VALUES(1,'6d2292f60be15f6d','2026-11-21T23:51:13.478+00:00','lead');
INSERT INTO "guideline_in_force" VALUES(2,'5692c0353fc689ea','2026-11-21T23:51:13.646+00:00','lead');
INSERT INTO "guideline_in_force" VALUES(3,'86f0da3d157f1af9','2026-11-21T23:51:13.742+00:00','lead');
CREATE TABLE invitation (
	hash VARCHAR(64) NOT NULL, 
	role TEXT NOT NULL, 
	email TEXT NOT NULL, 
	inviter TEXT NOT NULL, 
	account TEXT NOT NULL, 
	created_s FLOAT NOT NULL, 
	expires_s FLOAT NOT NULL, 
	used_s FLOAT, 
	PRIMARY KEY (hash)
);
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
	swapped INTEGER DEFAULT '0' NOT NULL, 
	task TEXT DEFAULT 'normal' NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (uid), 
	FOREIGN KEY(comparison) REFERENCES comparison (id), 
	FOREIGN KEY(rater) REFERENCES rater (id)
);
INSERT INTO "judgement" VALUES(1,'ff6d6d955194d844-r0','ff6d6d955194d844','r0','first',0,'[]','','',NULL,'2026-11-21T23:51:13.385+00:00','',0,'normal');
INSERT INTO "judgement" VALUES(2,'e679b472d12dae61-r0','e679b472d12dae61','r0','first',0,'[]','','',NULL,'2026-11-21T23:51:13.386+00:00','',0,'normal');
INSERT INTO "judgement" VALUES(3,'e4b4bb97b5c7f4ab-r0','e4b4bb97b5c7f4ab','r0','first',0,'[]','','',NULL,'2026-11-21T23:51:13.386+00:00','',0,'normal');
INSERT INTO "judgement" VALUES(4,'w0 edit','1970767f0adeec50','r2','second',0,'["edited"]','','',NULL,'2026-11-21T23:51:13.417+00:00','',0,'normal');
INSERT INTO "judgement" VALUES(5,'w1 edit','7f690edf7cf81dbf','r2','first',0,'["edited"]','','',NULL,'2026-11-21T23:51:13.597+00:00','',0,'normal');
INSERT INTO "judgement" VALUES(6,'w2 edit','1f38d0e374a15248','r2','second',0,'["edited"]','','',NULL,'2026-11-21T23:51:13.709+00:00','',0,'normal');
INSERT INTO "judgement" VALUES(7,'ai d4e30a8eadb8024d','ff6d6d955194d844','model-bcd796d89f84093a','first',0,'[]','','',NULL,'2026-11-22T06:16:03.058+00:00','',0,'model');
CREATE TABLE lease (
	seq INTEGER NOT NULL, 
	uid TEXT NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	rater TEXT NOT NULL, 
	expires_s FLOAT NOT NULL, 
	kind TEXT DEFAULT 'normal' NOT NULL, 
	swapped INTEGER DEFAULT '0' NOT NULL, 
	expired INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (uid), 
	FOREIGN KEY(comparison) REFERENCES comparison (id)
);
INSERT INTO "lease" VALUES(1,'3a7c3d7108194b32ae0156eb1dcd363a','ff6d6d955194d844','r1',4.79527620194076251982e+09,'check',1,0);
CREATE TABLE onboarding_pass (
	seq INTEGER NOT NULL, 
	rater TEXT NOT NULL, 
	guideline TEXT NOT NULL, 
	correct INTEGER NOT NULL, 
	total INTEGER NOT NULL, 
	passed INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(rater) REFERENCES rater (id)
);
INSERT INTO "onboarding_pass" VALUES(1,'r0','6d2292f60be15f6d',10,12,1,'2026-11-21T23:51:13.485+00:00');
INSERT INTO "onboarding_pass" VALUES(2,'r0','5692c0353fc689ea',10,12,1,'2026-11-21T23:51:13.649+00:00');
INSERT INTO "onboarding_pass" VALUES(3,'r0','86f0da3d157f1af9',10,12,1,'2026-11-21T23:51:13.745+00:00');
CREATE TABLE position (
	rater TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	rank FLOAT, 
	place BIGINT NOT NULL, 
	comparison TEXT NOT NULL, 
	seen BIGINT NOT NULL, 
	served BIGINT NOT NULL, 
	PRIMARY KEY (rater, scope)
);
INSERT INTO "position" VALUES('r1','',NULL,0,'',0,1);
CREATE TABLE profile (
	rater TEXT NOT NULL, 
	team TEXT NOT NULL, 
	languages TEXT NOT NULL, 
	topics TEXT NOT NULL, 
	avoids TEXT NOT NULL, 
	PRIMARY KEY (rater), 
	FOREIGN KEY(rater) REFERENCES rater (id)
);
INSERT INTO "profile" VALUES('r0','','["en"]','[]','["x"]');
CREATE TABLE prompt (
	seq INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	messages TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	language TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "prompt" VALUES(1,'3dc41c57033e99f6','[{"role": "user", "content": "prompt 0"}]','sums','en');
INSERT INTO "prompt" VALUES(2,'cbdc22d9ea0b1047','[{"role": "user", "content": "prompt 1"}]','sums','en');
INSERT INTO "prompt" VALUES(3,'ceb214f264031e04','[{"role": "user", "content": "prompt 2"}]','sums','en');
INSERT INTO "prompt" VALUES(4,'ab068d0a933cb292','[{"role": "user", "content": "one more"}]','sums','en');
INSERT INTO "prompt" VALUES(5,'7bf63177f5fbb955','[{"role": "user", "content": "say something bad"}]','','');
CREATE TABLE ranking (
	seq INTEGER NOT NULL, 
	uid TEXT NOT NULL, 
	slate VARCHAR(16) NOT NULL, 
	rater TEXT NOT NULL, 
	ranks TEXT NOT NULL, 
	shown TEXT NOT NULL, 
	reasons TEXT NOT NULL, 
	note TEXT NOT NULL, 
	guideline TEXT NOT NULL, 
	seconds FLOAT, 
	judged_at TEXT NOT NULL, 
	supersedes TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (uid), 
	FOREIGN KEY(slate) REFERENCES slate (id), 
	FOREIGN KEY(rater) REFERENCES rater (id)
);
INSERT INTO "ranking" VALUES(1,'k0','d8e76359db0b2d4e','r1','[1, 2]','[1, 0]','["clear"]','','',NULL,'2026-11-21T23:51:13.409+00:00','');
INSERT INTO "ranking" VALUES(2,'k1','1b326245ec65253e','r1','[1, 2]','[1, 0]','["clear"]','','',NULL,'2026-11-21T23:51:13.593+00:00','');
INSERT INTO "ranking" VALUES(3,'k2','332ae82550e621af','r1','[1, 2]','[1, 0]','["clear"]','','',NULL,'2026-11-21T23:51:13.700+00:00','');
CREATE TABLE rater (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id)
);
INSERT INTO "rater" VALUES(1,'r0','person');
INSERT INTO "rater" VALUES(2,'r1','person');
INSERT INTO "rater" VALUES(3,'r2','person');
INSERT INTO "rater" VALUES(4,'r3','person');
INSERT INTO "rater" VALUES(5,'r-4a4eb17ef5c9e7c80982','person');
INSERT INTO "rater" VALUES(6,'model-bcd796d89f84093a','model');
CREATE TABLE session (
	hash VARCHAR(64) NOT NULL, 
	account VARCHAR(32) NOT NULL, 
	csrf TEXT NOT NULL, 
	created_s FLOAT NOT NULL, 
	expires_s FLOAT NOT NULL, 
	seen_s FLOAT NOT NULL, 
	PRIMARY KEY (hash), 
	FOREIGN KEY(account) REFERENCES account (id)
);
CREATE TABLE setting (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "setting" VALUES('pseudonyms.key','"e2861a844124eb4672c2a691d903c2a8b091b0bc80e71362452e42576727ec5c"');
CREATE TABLE slate (
	seq INTEGER NOT NULL, 
	id VARCHAR(16) NOT NULL, 
	prompt VARCHAR(16) NOT NULL, 
	completions TEXT NOT NULL, 
	source TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id), 
	FOREIGN KEY(prompt) REFERENCES prompt (id)
);
INSERT INTO "slate" VALUES(1,'d8e76359db0b2d4e','3dc41c57033e99f6','["6fbbf0027823a869", "4b52938011057763"]','s');
INSERT INTO "slate" VALUES(2,'1b326245ec65253e','cbdc22d9ea0b1047','["54e5039f07884afd", "55f1fd6f5af25856"]','s');
INSERT INTO "slate" VALUES(3,'332ae82550e621af','ceb214f264031e04','["02e76b39fd0afd88", "4fbffd1673b7aa6d"]','s');
CREATE TABLE task (
	comparison VARCHAR(16) NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	source TEXT NOT NULL, 
	language TEXT NOT NULL, 
	topic TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	rank FLOAT NOT NULL, 
	place BIGINT NOT NULL, 
	wanted INTEGER NOT NULL, 
	adaptive INTEGER NOT NULL, 
	since BIGINT NOT NULL, 
	slots INTEGER NOT NULL, 
	done INTEGER NOT NULL, 
	held INTEGER NOT NULL, 
	opened BIGINT NOT NULL, 
	PRIMARY KEY (comparison), 
	FOREIGN KEY(comparison) REFERENCES comparison (id)
);
INSERT INTO "task" VALUES('ff6d6d955194d844','check','closed','s','en','sums','',0.0,4285361557,2,1,0,2,0,0,4);
INSERT INTO "task" VALUES('e679b472d12dae61','check','closed','s','en','sums','',0.0,3866735730,2,1,0,2,0,0,3);
INSERT INTO "task" VALUES('e4b4bb97b5c7f4ab','check','closed','s','en','sums','',0.0,3837049751,2,1,0,2,0,0,2);
INSERT INTO "task" VALUES('bf7902250ea15870','normal','open','s','en','sums','',0.0,3212378661,2,1,0,2,0,0,1);
CREATE TABLE token (
	hash VARCHAR(64) NOT NULL, 
	prefix TEXT NOT NULL, 
	account VARCHAR(32) NOT NULL, 
	name TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	created_s FLOAT NOT NULL, 
	expires_s FLOAT, 
	used_s FLOAT, 
	PRIMARY KEY (hash), 
	FOREIGN KEY(account) REFERENCES account (id)
);
CREATE TABLE tombstone (
	seq INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	id_hash TEXT NOT NULL, 
	at TEXT NOT NULL, 
	receipt TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "tombstone" VALUES(1,'person','person-9544c8e8390c0bad6a3d','2026-11-21T23:51:13.525+00:00','receipt-b81d484ef48eeb07728a');
INSERT INTO "tombstone" VALUES(2,'person','person-7ebc43fdf31f0524fba6','2026-11-21T23:51:13.670+00:00','receipt-7e4a5209433e88064999');
INSERT INTO "tombstone" VALUES(3,'person','person-036fbc64664a2fc0a2f6','2026-11-21T23:51:13.767+00:00','receipt-d32afd2c99c4392ee32c');
CREATE TABLE voice (
	seq INTEGER NOT NULL, 
	comparison VARCHAR(16) NOT NULL, 
	expected TEXT NOT NULL, 
	note TEXT NOT NULL, 
	made_check INTEGER NOT NULL, 
	actor TEXT NOT NULL, 
	at TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	FOREIGN KEY(comparison) REFERENCES comparison (id)
);
INSERT INTO "voice" VALUES(1,'ff6d6d955194d844','first','so are we',0,'lead','2026-11-22T03:54:02.852+00:00');
CREATE TABLE written_answer (
	seq INTEGER NOT NULL, 
	uid TEXT NOT NULL, 
	prompt VARCHAR(16) NOT NULL, 
	text TEXT NOT NULL, 
	rater TEXT NOT NULL, 
	original TEXT NOT NULL, 
	judgement TEXT NOT NULL, 
	guideline TEXT NOT NULL, 
	seconds FLOAT, 
	written_at TEXT NOT NULL, 
	supersedes TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (uid), 
	FOREIGN KEY(prompt) REFERENCES prompt (id), 
	FOREIGN KEY(rater) REFERENCES rater (id)
);
INSERT INTO "written_answer" VALUES(1,'w0','3dc41c57033e99f6','better 0','r2','6fbbf0027823a869','','',NULL,'2026-11-21T23:51:13.417+00:00','');
INSERT INTO "written_answer" VALUES(2,'w1','cbdc22d9ea0b1047','better 1','r2','54e5039f07884afd','','',NULL,'2026-11-21T23:51:13.597+00:00','');
INSERT INTO "written_answer" VALUES(3,'w2','ceb214f264031e04','better 2','r2','02e76b39fd0afd88','','',NULL,'2026-11-21T23:51:13.709+00:00','');
CREATE UNIQUE INDEX account_email ON account (email) WHERE email != '';
CREATE INDEX account_rater ON account (rater);
CREATE INDEX chat_person ON chat (person, changed_s);
CREATE INDEX consent_person ON consent (person, chat);
CREATE INDEX tombstone_hash ON tombstone (id_hash);
CREATE INDEX completion_prompt ON completion (prompt);
CREATE INDEX onboarding_pass_rater ON onboarding_pass (rater);
CREATE INDEX session_account ON session (account);
CREATE INDEX token_account ON token (account);
CREATE INDEX written_answer_prompt ON written_answer (prompt);
CREATE INDEX written_answer_rater ON written_answer (rater);
CREATE INDEX comparison_source ON comparison (source);
CREATE INDEX exposure_chat ON exposure (chat);
CREATE INDEX exposure_completion ON exposure (completion);
CREATE INDEX exposure_person ON exposure (person);
CREATE INDEX feedback_completion ON feedback (completion);
CREATE INDEX feedback_person ON feedback (person);
CREATE INDEX ranking_rater ON ranking (rater);
CREATE INDEX ranking_slate ON ranking (slate, rater);
CREATE INDEX check_item_comparison ON check_item (comparison);
CREATE INDEX judgement_comparison ON judgement (comparison, rater);
CREATE INDEX judgement_rater ON judgement (rater, seq);
CREATE INDEX judgement_supersedes ON judgement (supersedes) WHERE supersedes != '';
CREATE INDEX lease_comparison ON lease (comparison);
CREATE INDEX lease_expires ON lease (expires_s) WHERE expired = 0;
CREATE UNIQUE INDEX lease_one ON lease (rater, comparison) WHERE expired = 0;
CREATE INDEX task_next ON task (kind, rank, place, comparison) WHERE state = 'open';
CREATE INDEX task_returned ON task (kind, opened) WHERE state = 'open';
CREATE INDEX task_state ON task (state, kind);
CREATE INDEX finding_id ON finding (id);
CREATE INDEX finding_completion ON finding (completion);
CREATE INDEX finding_found_by ON finding (found_by);
CREATE INDEX finding_step_finding ON finding_step (finding);
CREATE INDEX voice_comparison ON voice (comparison);
CREATE INDEX ai_opinion_comparison ON ai_opinion (comparison, judge);
CREATE INDEX attachment_comparison ON attachment (comparison);
CREATE INDEX attachment_helper ON attachment (helper);
CREATE INDEX assistance_rater ON assistance (rater, comparison);
CREATE INDEX assistance_comparison ON assistance (comparison);
CREATE TRIGGER prompt_no_update BEFORE UPDATE ON prompt BEGIN SELECT RAISE(ABORT, 'prompt is append-only'); END;
CREATE TRIGGER prompt_no_delete BEFORE DELETE ON prompt BEGIN SELECT RAISE(ABORT, 'prompt is append-only'); END;
CREATE TRIGGER prompt_no_replace BEFORE INSERT ON prompt WHEN EXISTS (SELECT 1 FROM prompt WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM prompt WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'prompt is append-only'); END;
CREATE TRIGGER completion_no_update BEFORE UPDATE ON completion BEGIN SELECT RAISE(ABORT, 'completion is append-only'); END;
CREATE TRIGGER completion_no_delete BEFORE DELETE ON completion BEGIN SELECT RAISE(ABORT, 'completion is append-only'); END;
CREATE TRIGGER completion_no_replace BEFORE INSERT ON completion WHEN EXISTS (SELECT 1 FROM completion WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM completion WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'completion is append-only'); END;
CREATE TRIGGER comparison_no_update BEFORE UPDATE ON comparison BEGIN SELECT RAISE(ABORT, 'comparison is append-only'); END;
CREATE TRIGGER comparison_no_delete BEFORE DELETE ON comparison BEGIN SELECT RAISE(ABORT, 'comparison is append-only'); END;
CREATE TRIGGER comparison_no_replace BEFORE INSERT ON comparison WHEN EXISTS (SELECT 1 FROM comparison WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM comparison WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'comparison is append-only'); END;
CREATE TRIGGER rater_no_update BEFORE UPDATE ON rater BEGIN SELECT RAISE(ABORT, 'rater is append-only'); END;
CREATE TRIGGER rater_no_delete BEFORE DELETE ON rater BEGIN SELECT RAISE(ABORT, 'rater is append-only'); END;
CREATE TRIGGER rater_no_replace BEFORE INSERT ON rater WHEN EXISTS (SELECT 1 FROM rater WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM rater WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'rater is append-only'); END;
CREATE TRIGGER judgement_no_update BEFORE UPDATE ON judgement BEGIN SELECT RAISE(ABORT, 'judgement is append-only'); END;
CREATE TRIGGER judgement_no_delete BEFORE DELETE ON judgement BEGIN SELECT RAISE(ABORT, 'judgement is append-only'); END;
CREATE TRIGGER judgement_no_replace BEFORE INSERT ON judgement WHEN EXISTS (SELECT 1 FROM judgement WHERE uid = NEW.uid) OR EXISTS (SELECT 1 FROM judgement WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'judgement is append-only'); END;
CREATE TRIGGER check_item_no_update BEFORE UPDATE ON check_item BEGIN SELECT RAISE(ABORT, 'check_item is append-only'); END;
CREATE TRIGGER check_item_no_delete BEFORE DELETE ON check_item BEGIN SELECT RAISE(ABORT, 'check_item is append-only'); END;
CREATE TRIGGER check_item_no_replace BEFORE INSERT ON check_item WHEN EXISTS (SELECT 1 FROM check_item WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'check_item is append-only'); END;
CREATE TRIGGER finding_no_update BEFORE UPDATE ON finding BEGIN SELECT RAISE(ABORT, 'finding is append-only'); END;
CREATE TRIGGER finding_no_delete BEFORE DELETE ON finding BEGIN SELECT RAISE(ABORT, 'finding is append-only'); END;
CREATE TRIGGER finding_no_replace BEFORE INSERT ON finding WHEN EXISTS (SELECT 1 FROM finding WHERE uid = NEW.uid) OR EXISTS (SELECT 1 FROM finding WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'finding is append-only'); END;
CREATE TRIGGER finding_step_no_update BEFORE UPDATE ON finding_step BEGIN SELECT RAISE(ABORT, 'finding_step is append-only'); END;
CREATE TRIGGER finding_step_no_delete BEFORE DELETE ON finding_step BEGIN SELECT RAISE(ABORT, 'finding_step is append-only'); END;
CREATE TRIGGER finding_step_no_replace BEFORE INSERT ON finding_step WHEN EXISTS (SELECT 1 FROM finding_step WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'finding_step is append-only'); END;
CREATE TRIGGER voice_no_update BEFORE UPDATE ON voice BEGIN SELECT RAISE(ABORT, 'voice is append-only'); END;
CREATE TRIGGER voice_no_delete BEFORE DELETE ON voice BEGIN SELECT RAISE(ABORT, 'voice is append-only'); END;
CREATE TRIGGER voice_no_replace BEFORE INSERT ON voice WHEN EXISTS (SELECT 1 FROM voice WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'voice is append-only'); END;
CREATE TRIGGER ai_judge_no_update BEFORE UPDATE ON ai_judge BEGIN SELECT RAISE(ABORT, 'ai_judge is append-only'); END;
CREATE TRIGGER ai_judge_no_delete BEFORE DELETE ON ai_judge BEGIN SELECT RAISE(ABORT, 'ai_judge is append-only'); END;
CREATE TRIGGER ai_judge_no_replace BEFORE INSERT ON ai_judge WHEN EXISTS (SELECT 1 FROM ai_judge WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM ai_judge WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'ai_judge is append-only'); END;
CREATE TRIGGER ai_opinion_no_update BEFORE UPDATE ON ai_opinion BEGIN SELECT RAISE(ABORT, 'ai_opinion is append-only'); END;
CREATE TRIGGER ai_opinion_no_delete BEFORE DELETE ON ai_opinion BEGIN SELECT RAISE(ABORT, 'ai_opinion is append-only'); END;
CREATE TRIGGER ai_opinion_no_replace BEFORE INSERT ON ai_opinion WHEN EXISTS (SELECT 1 FROM ai_opinion WHERE uid = NEW.uid) OR EXISTS (SELECT 1 FROM ai_opinion WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'ai_opinion is append-only'); END;
CREATE TRIGGER attachment_no_update BEFORE UPDATE ON attachment BEGIN SELECT RAISE(ABORT, 'attachment is append-only'); END;
CREATE TRIGGER attachment_no_delete BEFORE DELETE ON attachment BEGIN SELECT RAISE(ABORT, 'attachment is append-only'); END;
CREATE TRIGGER attachment_no_replace BEFORE INSERT ON attachment WHEN EXISTS (SELECT 1 FROM attachment WHERE uid = NEW.uid) OR EXISTS (SELECT 1 FROM attachment WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'attachment is append-only'); END;
CREATE TRIGGER assistance_no_update BEFORE UPDATE ON assistance BEGIN SELECT RAISE(ABORT, 'assistance is append-only'); END;
CREATE TRIGGER assistance_no_delete BEFORE DELETE ON assistance BEGIN SELECT RAISE(ABORT, 'assistance is append-only'); END;
CREATE TRIGGER assistance_no_replace BEFORE INSERT ON assistance WHEN EXISTS (SELECT 1 FROM assistance WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'assistance is append-only'); END;
CREATE TRIGGER slate_no_update BEFORE UPDATE ON slate BEGIN SELECT RAISE(ABORT, 'slate is append-only'); END;
CREATE TRIGGER slate_no_delete BEFORE DELETE ON slate BEGIN SELECT RAISE(ABORT, 'slate is append-only'); END;
CREATE TRIGGER slate_no_replace BEFORE INSERT ON slate WHEN EXISTS (SELECT 1 FROM slate WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM slate WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'slate is append-only'); END;
CREATE TRIGGER ranking_no_update BEFORE UPDATE ON ranking BEGIN SELECT RAISE(ABORT, 'ranking is append-only'); END;
CREATE TRIGGER ranking_no_delete BEFORE DELETE ON ranking BEGIN SELECT RAISE(ABORT, 'ranking is append-only'); END;
CREATE TRIGGER ranking_no_replace BEFORE INSERT ON ranking WHEN EXISTS (SELECT 1 FROM ranking WHERE uid = NEW.uid) OR EXISTS (SELECT 1 FROM ranking WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'ranking is append-only'); END;
CREATE TRIGGER written_answer_no_update BEFORE UPDATE ON written_answer BEGIN SELECT RAISE(ABORT, 'written_answer is append-only'); END;
CREATE TRIGGER written_answer_no_delete BEFORE DELETE ON written_answer BEGIN SELECT RAISE(ABORT, 'written_answer is append-only'); END;
CREATE TRIGGER written_answer_no_replace BEFORE INSERT ON written_answer WHEN EXISTS (SELECT 1 FROM written_answer WHERE uid = NEW.uid) OR EXISTS (SELECT 1 FROM written_answer WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'written_answer is append-only'); END;
CREATE TRIGGER consent_no_update BEFORE UPDATE ON consent BEGIN SELECT RAISE(ABORT, 'consent is append-only'); END;
CREATE TRIGGER consent_no_delete BEFORE DELETE ON consent BEGIN SELECT RAISE(ABORT, 'consent is append-only'); END;
CREATE TRIGGER consent_no_replace BEFORE INSERT ON consent WHEN EXISTS (SELECT 1 FROM consent WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM consent WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'consent is append-only'); END;
CREATE TRIGGER feedback_no_update BEFORE UPDATE ON feedback BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER feedback_no_delete BEFORE DELETE ON feedback BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER feedback_no_replace BEFORE INSERT ON feedback WHEN EXISTS (SELECT 1 FROM feedback WHERE uid = NEW.uid) OR EXISTS (SELECT 1 FROM feedback WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END;
CREATE TRIGGER exposure_no_update BEFORE UPDATE ON exposure BEGIN SELECT RAISE(ABORT, 'exposure is append-only'); END;
CREATE TRIGGER exposure_no_delete BEFORE DELETE ON exposure BEGIN SELECT RAISE(ABORT, 'exposure is append-only'); END;
CREATE TRIGGER exposure_no_replace BEFORE INSERT ON exposure WHEN EXISTS (SELECT 1 FROM exposure WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'exposure is append-only'); END;
CREATE TRIGGER guideline_no_update BEFORE UPDATE ON guideline BEGIN SELECT RAISE(ABORT, 'guideline is append-only'); END;
CREATE TRIGGER guideline_no_delete BEFORE DELETE ON guideline BEGIN SELECT RAISE(ABORT, 'guideline is append-only'); END;
CREATE TRIGGER guideline_no_replace BEFORE INSERT ON guideline WHEN EXISTS (SELECT 1 FROM guideline WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM guideline WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'guideline is append-only'); END;
CREATE TRIGGER guideline_in_force_no_update BEFORE UPDATE ON guideline_in_force BEGIN SELECT RAISE(ABORT, 'guideline_in_force is append-only'); END;
CREATE TRIGGER guideline_in_force_no_delete BEFORE DELETE ON guideline_in_force BEGIN SELECT RAISE(ABORT, 'guideline_in_force is append-only'); END;
CREATE TRIGGER guideline_in_force_no_replace BEFORE INSERT ON guideline_in_force WHEN EXISTS (SELECT 1 FROM guideline_in_force WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'guideline_in_force is append-only'); END;
CREATE TRIGGER onboarding_pass_no_update BEFORE UPDATE ON onboarding_pass BEGIN SELECT RAISE(ABORT, 'onboarding_pass is append-only'); END;
CREATE TRIGGER onboarding_pass_no_delete BEFORE DELETE ON onboarding_pass BEGIN SELECT RAISE(ABORT, 'onboarding_pass is append-only'); END;
CREATE TRIGGER onboarding_pass_no_replace BEFORE INSERT ON onboarding_pass WHEN EXISTS (SELECT 1 FROM onboarding_pass WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'onboarding_pass is append-only'); END;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER tombstone_no_update BEFORE UPDATE ON tombstone BEGIN SELECT RAISE(ABORT, 'tombstone is append-only'); END;
CREATE TRIGGER tombstone_no_delete BEFORE DELETE ON tombstone BEGIN SELECT RAISE(ABORT, 'tombstone is append-only'); END;
CREATE TRIGGER tombstone_no_replace BEFORE INSERT ON tombstone WHEN EXISTS (SELECT 1 FROM tombstone WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'tombstone is append-only'); END;
COMMIT;
