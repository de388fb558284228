"""The tables, as numbered migrations; a released one never changes, a new one is appended.

A mention's rowid orders by publication: milliseconds in the upper 43 bits, the first bits of its id below,
so that "newest first" is the order in which every index is walked. `body` holds what only the found page
needs; `mention` is narrow, because filters and facets walk it. `body` and `vector` are only ever appended
to, which keeps writing even at a million mentions; `mention.body` and `mention.vector` point into them.
"""

import apsw

from listener.errors import PermanentError

_PUNCTUATION = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum() and chr(code) not in "'\"")

_SPINE = f"""
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- values of keyword fields, each with the folded form that queries compare
CREATE TABLE word(id INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL, folded TEXT NOT NULL);
CREATE UNIQUE INDEX word_value ON word(field, value);
CREATE INDEX word_folded ON word(field, folded);

CREATE TABLE mention(
  rowid INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, version INTEGER NOT NULL,
  published INTEGER NOT NULL, received INTEGER NOT NULL,
  lang INTEGER, channel INTEGER, source INTEGER, kind INTEGER, brand INTEGER, product INTEGER, place INTEGER,
  audience INTEGER, model INTEGER,
  author TEXT, author_id TEXT, followers INTEGER, verified INTEGER, rating REAL, stars REAL, nps REAL,
  overall INTEGER, flags INTEGER NOT NULL, body INTEGER NOT NULL, vector INTEGER,
  state INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, try_at INTEGER, problem TEXT);
CREATE INDEX mention_author ON mention(author) WHERE author IS NOT NULL;
CREATE INDEX mention_author_id ON mention(author_id) WHERE author_id IS NOT NULL;
CREATE INDEX mention_try ON mention(try_at) WHERE state IN (1, 2);
CREATE INDEX mention_brand ON mention(brand, rowid) WHERE brand IS NOT NULL;
CREATE INDEX mention_source ON mention(source);
CREATE INDEX mention_received ON mention(received);

CREATE TABLE body(id INTEGER PRIMARY KEY, mention TEXT NOT NULL, analysis TEXT);
CREATE TABLE vector(id INTEGER PRIMARY KEY AUTOINCREMENT, mention INTEGER NOT NULL, value BLOB NOT NULL);

CREATE TABLE segment(
  id INTEGER PRIMARY KEY, mention INTEGER NOT NULL, ord INTEGER NOT NULL, step INTEGER NOT NULL,
  sentiment INTEGER NOT NULL, emotions INTEGER NOT NULL, intents INTEGER NOT NULL, effort INTEGER,
  uncertain INTEGER NOT NULL);
CREATE UNIQUE INDEX segment_mention ON segment(mention, ord, step, sentiment, emotions, intents, effort, uncertain);
CREATE INDEX segment_step ON segment(step, sentiment, mention);
CREATE INDEX segment_rare ON segment(intents, mention) WHERE intents & 112 != 0;

CREATE VIRTUAL TABLE fts USING fts5(
  text, title, text_stem, title_stem, content='', tokenize="ascii tokenchars '{_PUNCTUATION}'");
INSERT INTO fts(fts, rank) VALUES ('secure-delete', 1);
INSERT INTO fts(fts, rank) VALUES ('automerge', 16);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(fts, col);
CREATE VIRTUAL TABLE segment_fts USING fts5(
  text, text_stem, content='', columnsize=0, tokenize="ascii tokenchars '{_PUNCTUATION}'");
INSERT INTO segment_fts(segment_fts, rank) VALUES ('secure-delete', 1);

CREATE TABLE version(
  id BLOB NOT NULL, version INTEGER NOT NULL, mention TEXT NOT NULL, analysis TEXT,
  PRIMARY KEY(id, version)) WITHOUT ROWID;
CREATE TABLE tombstone(id BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE triage(
  mention BLOB PRIMARY KEY, state TEXT NOT NULL, owner TEXT, owner_folded TEXT, opened INTEGER NOT NULL,
  due INTEGER, replied INTEGER, backlog INTEGER NOT NULL, data TEXT NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX triage_due ON triage(state, due);
CREATE TABLE correction(
  id INTEGER PRIMARY KEY, mention BLOB NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL);
CREATE INDEX correction_mention ON correction(mention);

CREATE TABLE subscription(id TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outcome(subscription TEXT, name TEXT, n INTEGER NOT NULL, PRIMARY KEY(subscription, name)) WITHOUT ROWID;
CREATE TABLE alert(
  id TEXT PRIMARY KEY, subscription TEXT NOT NULL, grouping TEXT NOT NULL, created INTEGER NOT NULL,
  due INTEGER NOT NULL, destinations TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX alert_group ON alert(subscription, grouping, due);
CREATE INDEX alert_created ON alert(created);
CREATE TABLE evidence(
  alert TEXT NOT NULL, ord INTEGER NOT NULL, mention BLOB NOT NULL, version INTEGER NOT NULL,
  at INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY(alert, ord)) WITHOUT ROWID;
CREATE INDEX evidence_mention ON evidence(mention);
CREATE TABLE outbox(
  alert TEXT NOT NULL, destination TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  due INTEGER NOT NULL, PRIMARY KEY(alert, destination)) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox(due) WHERE state = 'pending';
CREATE TABLE delivery(
  id INTEGER PRIMARY KEY, alert TEXT NOT NULL, destination TEXT NOT NULL, at INTEGER NOT NULL,
  ok INTEGER NOT NULL, detail TEXT NOT NULL);
CREATE INDEX delivery_alert ON delivery(alert);

CREATE TABLE source(
  name TEXT PRIMARY KEY, cursor TEXT, state TEXT NOT NULL DEFAULT 'new', detail TEXT NOT NULL DEFAULT '',
  last_success INTEGER, next_try INTEGER, mentions INTEGER NOT NULL DEFAULT 0, rejects INTEGER NOT NULL DEFAULT 0,
  newest INTEGER) WITHOUT ROWID;
CREATE TABLE gap(
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER, reason TEXT NOT NULL);
CREATE TABLE dead_letter(
  id INTEGER PRIMARY KEY, source TEXT NOT NULL, at INTEGER NOT NULL, place TEXT NOT NULL, reason TEXT NOT NULL,
  raw BLOB NOT NULL, digest BLOB NOT NULL, replayed INTEGER);
CREATE UNIQUE INDEX dead_letter_digest ON dead_letter(source, place, digest);
CREATE TABLE inbox(
  id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, event TEXT NOT NULL, body BLOB NOT NULL,
  received INTEGER NOT NULL);
CREATE UNIQUE INDEX inbox_event ON inbox(source, event);
-- pushes already stored, by a digest of source and event id, for as long as senders repeat
CREATE TABLE inbox_settled(digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX inbox_settled_at ON inbox_settled(at);

CREATE TABLE api_key(id TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_SPINE,)
VERSION = len(MIGRATIONS)


def migrate(connection: apsw.Connection) -> int:
    """Bring the store to the present schema, inside the caller's transaction; gives the version it had.

    Raises PermanentError for a store that a later release wrote, and for a file that is none.
    """
    have = connection.pragma("user_version")
    if have > VERSION:
        raise PermanentError(
            f"the store has schema {have}, this release knows {VERSION}: use the release that wrote it, or a later one"
        )
    if have == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise PermanentError("the file is a database of something else: name another [index] path")
    for number in range(have, VERSION):
        connection.execute(MIGRATIONS[number])
    connection.pragma("user_version", VERSION)
    return int(have)
