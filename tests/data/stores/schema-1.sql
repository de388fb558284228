CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
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
  text, title, text_stem, title_stem, content='', tokenize="ascii tokenchars '!#$%&()*+,-./:;<=>?@[\]^_`{|}~'");
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(fts, col);
CREATE VIRTUAL TABLE segment_fts USING fts5(
  text, text_stem, content='', columnsize=0, tokenize="ascii tokenchars '!#$%&()*+,-./:;<=>?@[\]^_`{|}~'");
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
CREATE TABLE inbox_settled(digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX inbox_settled_at ON inbox_settled(at);
CREATE TABLE api_key(id TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
DELETE FROM alert;
INSERT INTO alert("id","subscription","grouping","created","due","destinations") VALUES ('1d03ed96d2a65e34af5bb831d253652b','late','',1772366400000,1772366400000,'["console"]');
DELETE FROM api_key;
INSERT INTO api_key("id","data") VALUES ('k1','{"name":"laptop","hash":"0000000000000000000000000000000000000000000000000000000000000000","scopes":["read"],"created_at":"2026-03-01T12:00:00.000Z","revoked_at":null}');
DELETE FROM body;
INSERT INTO body("id","mention","analysis") VALUES (2,'{"id":"b210c8338871730ba422cba37da2ba0a","native_id":"3","source":"shop","kind":"review","channel":"site","text":"still waiting","published_at":"2026-03-01T11:57:00.000Z","received_at":"2026-03-01T12:00:00.000Z","version":1772366220000}',NULL);
INSERT INTO body("id","mention","analysis") VALUES (3,'{"id":"85ef3bcfa08b579de9b03ec0442fe6c6","native_id":"2","source":"shop","kind":"review","channel":"site","text":"เสียงดีมาก 包裹迟到","published_at":"2026-03-01T11:58:00.000Z","received_at":"2026-03-01T12:00:00.000Z","version":1772366280000}','["fake@1","en",[1.0,0.0,0.0],"negative",[0.0,0.0,0.0,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0,0.0,0.0],1.0,0,0,[[0,15,"reception",0.9,[1.0,0.0,0.0],"negative",[0.0,0.0,0.0,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0,0.0,0.0],null,0]]]');
INSERT INTO body("id","mention","analysis") VALUES (4,'{"id":"aea6d3a7c15f0e5c3e61a68db8dd7296","native_id":"1","source":"shop","kind":"review","channel":"site","text":"the parcel never came","published_at":"2026-03-01T11:59:00.000Z","received_at":"2026-03-01T12:00:00.000Z","version":1772366340001,"brand":"Acme","author":{"handle":"ana","followers":12},"rating":2.0}','["fake@1","en",[1.0,0.0,0.0],"negative",[0.0,0.0,0.0,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0,0.0,0.0],1.0,0,0,[[0,21,"reception",0.9,[1.0,0.0,0.0],"negative",[0.0,0.0,0.0,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0,0.0,0.0],null,0]]]');
DELETE FROM correction;
INSERT INTO correction("id","mention","version","at","data") VALUES (1,X'AEA6D3A7C15F0E5C3E61A68DB8DD7296',1772366340000,1772366400000,'{"step":"support"}');
DELETE FROM dead_letter;
INSERT INTO dead_letter("id","source","at","place","reason","raw","digest","replayed") VALUES (1,'shop',1772366400000,'line 9','not JSON',X'FF626164',X'0F8A61EC2D69D013FB3A3250B378A3C1E504883F44FED0B90CB1E405F63944CE',NULL);
DELETE FROM delivery;
DELETE FROM evidence;
INSERT INTO evidence("alert","ord","mention","version","at","data") VALUES ('1d03ed96d2a65e34af5bb831d253652b',0,X'AEA6D3A7C15F0E5C3E61A68DB8DD7296',1772366340000,1772366400000,'{"subscription":"late","query":"parcel","native_id":"1","source":"shop","channel":"site","kind":"review","brand":"Acme","text":"the parcel came late","author":{"handle":"ana","followers":12},"published_at":"2026-03-01T11:59:00.000Z","rating":2.0,"language":"en","overall":"negative","segments":[{"at":0,"start":0,"end":20,"text":"the parcel came late","step":"reception","sentiment":"negative"}],"highlights":[["text",4,10]],"reasons":[{"words":["parcel"]}]}');
DELETE FROM fts_config;
INSERT INTO fts_config("k","v") VALUES ('automerge',16);
INSERT INTO fts_config("k","v") VALUES ('secure-delete',1);
INSERT INTO fts_config("k","v") VALUES ('version',5);
DELETE FROM fts_data;
INSERT INTO fts_data("id","block") VALUES (1,X'0312001000');
INSERT INTO fts_data("id","block") VALUES (10,X'000000030102020002010101020101');
INSERT INTO fts_data("id","block") VALUES (137438953473,X'000001E906307374696C6C8CF2D2C2A5B896A10C0202010777616974696E678CF2D2C2A5B896A10C02030103E0B8818CF2D2C39AD090DEF302090404C2A6656E8CF2D2C39AD090DEF306010209030787E0B894E0B8B58CF2D2C39AD090DEF302050A04C2A6656E8CF2D2C39AD090DEF306010205030794E0B8B5E0B8A18CF2D2C39AD090DEF302060A04C2A6656E8CF2D2C39AD090DEF3060102060304A1E0B8B28CF2D2C39AD090DEF302070704C2A6656E8CF2D2C39AD090DEF3060102070304A2E0B8878CF2D2C39AD090DEF302040704C2A6656E8CF2D2C39AD090DEF3060102040307AAE0B8B5E0B8A28CF2D2C39AD090DEF302030A04C2A6656E8CF2D2C39AD090DEF3060102030304B2E0B8818CF2D2C39AD090DEF302080704C2A6656E8CF2D2C39AD090DEF3060102080208B980E0B8AAE0B8B58CF2D2C39AD090DEF302020A04C2A6656E8CF2D2C39AD090DEF3060102020103E588B08CF2D2C39AD090DEF3020D0404C2A6656E8CF2D2C39AD090DEF30601020D02058C85E8A3B98CF2D2C39AD090DEF3020A0704C2A6656E8CF2D2C39AD090DEF30601020A0106E8A3B9E8BF9F8CF2D2C39AD090DEF3020B0704C2A6656E8CF2D2C39AD090DEF30601020B0205BF9FE588B08CF2D2C39AD090DEF3020C0704C2A6656E8CF2D2C39AD090DEF30601020C0412141013141314131113111314131113151310131213131312');
INSERT INTO fts_data("id","block") VALUES (274877906945,X'00000096053063616D658CF2D2C48FE895EA6D02050504C2A6656E8CF2D2C48FE895EA6D0601020501056E657665728CF2D2C48FE895EA6D02040604C2A6656E8CF2D2C48FE895EA6D06010204010670617263656C8CF2D2C48FE895EA6D02030704C2A6656E8CF2D2C48FE895EA6D0601020301037468658CF2D2C48FE895EA6D02020404C2A6656E8CF2D2C48FE895EA6D060102020411131213131310');
DELETE FROM fts_docsize;
INSERT INTO fts_docsize("id","sz") VALUES (1858460681503449356,X'02000000');
INSERT INTO fts_docsize("id","sz") VALUES (1858460744417828595,X'0C000C00');
INSERT INTO fts_docsize("id","sz") VALUES (1858460807332555373,X'04000400');
DELETE FROM fts_idx;
INSERT INTO fts_idx("segid","term","pgno") VALUES (1,X'',2);
INSERT INTO fts_idx("segid","term","pgno") VALUES (2,X'',2);
DELETE FROM gap;
INSERT INTO gap("id","source","start","end","reason") VALUES (1,'shop',1772359200000,1772366400000,'429');
DELETE FROM inbox;
INSERT INTO inbox("id","source","event","body","received") VALUES (1,'hook','e1',X'7B7D',1772366400000);
DELETE FROM inbox_settled;
DELETE FROM mention;
INSERT INTO mention("rowid","id","version","published","received","lang","channel","source","kind","brand","product","place","audience","model","author","author_id","followers","verified","rating","stars","nps","overall","flags","body","vector","state","tries","try_at","problem") VALUES (1858460681503449356,X'B210C8338871730BA422CBA37DA2BA0A',1772366220000,1772366220000,1772366400000,NULL,2,3,4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,144,2,NULL,3,0,NULL,NULL);
INSERT INTO mention("rowid","id","version","published","received","lang","channel","source","kind","brand","product","place","audience","model","author","author_id","followers","verified","rating","stars","nps","overall","flags","body","vector","state","tries","try_at","problem") VALUES (1858460744417828595,X'85EF3BCFA08B579DE9B03EC0442FE6C6',1772366280000,1772366280000,1772366400000,1,2,3,4,NULL,NULL,NULL,NULL,5,NULL,NULL,NULL,NULL,NULL,1.0,NULL,0,128,3,2,0,0,NULL,NULL);
INSERT INTO mention("rowid","id","version","published","received","lang","channel","source","kind","brand","product","place","audience","model","author","author_id","followers","verified","rating","stars","nps","overall","flags","body","vector","state","tries","try_at","problem") VALUES (1858460807332555373,X'AEA6D3A7C15F0E5C3E61A68DB8DD7296',1772366340001,1772366340000,1772366400000,1,2,3,4,7,NULL,NULL,NULL,5,'ana',NULL,12,NULL,2.0,1.0,NULL,0,130,4,4,0,0,NULL,NULL);
DELETE FROM meta;
INSERT INTO meta("key","value") VALUES ('analyser','1 snowball-3.1.0 unicode-14.0.0');
INSERT INTO meta("key","value") VALUES ('scrub','1');
INSERT INTO meta("key","value") VALUES ('setting:colour','blue');
INSERT INTO meta("key","value") VALUES ('subscriptions','1');
DELETE FROM outbox;
INSERT INTO outbox("alert","destination","state","attempts","due") VALUES ('1d03ed96d2a65e34af5bb831d253652b','console','pending',0,1772366400000);
DELETE FROM outcome;
INSERT INTO outcome("subscription","name","n") VALUES ('late','fired',1);
DELETE FROM segment;
INSERT INTO segment("id","mention","ord","step","sentiment","emotions","intents","effort","uncertain") VALUES (2,1858460744417828595,0,6,0,0,0,NULL,0);
INSERT INTO segment("id","mention","ord","step","sentiment","emotions","intents","effort","uncertain") VALUES (3,1858460807332555373,0,6,0,0,0,NULL,0);
DELETE FROM segment_fts_config;
INSERT INTO segment_fts_config("k","v") VALUES ('secure-delete',1);
INSERT INTO segment_fts_config("k","v") VALUES ('version',5);
DELETE FROM segment_fts_data;
INSERT INTO segment_fts_data("id","block") VALUES (1,X'021010');
INSERT INTO segment_fts_data("id","block") VALUES (10,X'000000020102020002010101020101');
INSERT INTO segment_fts_data("id","block") VALUES (137438953473,X'000001030430E0B8810202090404C2A6656E0206010109030787E0B894E0B8B50202050A04C2A6656E0206010105030794E0B8B5E0B8A10202060A04C2A6656E02060101060304A1E0B8B20202070704C2A6656E02060101070304A2E0B8870202040704C2A6656E02060101040307AAE0B8B5E0B8A20202030A04C2A6656E02060101030304B2E0B8810202080704C2A6656E02060101080208B980E0B8AAE0B8B50202020A04C2A6656E02060101020103E588B002020D0404C2A6656E020601010D02058C85E8A3B902020A0704C2A6656E020601010A0106E8A3B9E8BF9F02020B0704C2A6656E020601010B0205BF9FE588B002020C0704C2A6656E020601010C04080B0C0B0C0B090B090B0C0B090B0D0B080B0A0B0B0B0A');
INSERT INTO segment_fts_data("id","block") VALUES (274877906945,X'00000056053063616D650302050504C2A6656E030601010501056E657665720302040604C2A6656E0306010104010670617263656C0302030704C2A6656E030601010301037468650302020404C2A6656E030601010204090B0A0B0B0B08');
DELETE FROM segment_fts_idx;
INSERT INTO segment_fts_idx("segid","term","pgno") VALUES (1,X'',2);
INSERT INTO segment_fts_idx("segid","term","pgno") VALUES (2,X'',2);
DELETE FROM source;
INSERT INTO source("name","cursor","state","detail","last_success","next_try","mentions","rejects","newest") VALUES ('shop','c1','new','',1772366400000,NULL,4,1,1772366340000);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence("name","seq") VALUES ('vector',4);
INSERT INTO sqlite_sequence("name","seq") VALUES ('inbox',1);
DELETE FROM subscription;
INSERT INTO subscription("id","data") VALUES ('late','{"query":"parcel","created_at":"2026-03-01T12:00:00+00:00","name":"","condition":"each","destinations":["console"],"cooldown":3600.0,"group_by":null,"enabled":true,"version":1}');
DELETE FROM tombstone;
INSERT INTO tombstone("id","at") VALUES (X'C4601ADA360ED3C5201305681A10454E',1772366400000);
DELETE FROM triage;
INSERT INTO triage("mention","state","owner","owner_folded","opened","due","replied","backlog","data","version") VALUES (X'AEA6D3A7C15F0E5C3E61A68DB8DD7296','assigned','bo','bo',1772366400000,1772370000000,NULL,0,'{"notes":["call"]}',1);
DELETE FROM vector;
INSERT INTO vector("id","mention","value") VALUES (2,1858460744417828595,X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF');
INSERT INTO vector("id","mention","value") VALUES (4,1858460807332555373,X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F606162636465666768696A6B6C6D6E6F707172737475767778797A7B7C7D7E7F808182838485868788898A8B8C8D8E8F909192939495969798999A9B9C9D9E9FA0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7B8B9BABBBCBDBEBF');
DELETE FROM version;
INSERT INTO version("id","version","mention","analysis") VALUES (X'AEA6D3A7C15F0E5C3E61A68DB8DD7296',1772366340000,'{"id":"aea6d3a7c15f0e5c3e61a68db8dd7296","native_id":"1","source":"shop","kind":"review","channel":"site","text":"the parcel came late","published_at":"2026-03-01T11:59:00.000Z","received_at":"2026-03-01T12:00:00.000Z","version":1772366340000,"brand":"Acme","author":{"handle":"ana","followers":12},"rating":2.0}','["fake@1","en",[1.0,0.0,0.0],"negative",[0.0,0.0,0.0,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0,0.0,0.0],1.0,0,0,[[0,20,"reception",0.9,[1.0,0.0,0.0],"negative",[0.0,0.0,0.0,0.0,0.0,0.0],[0.0,0.0,0.0,0.0,0.0,0.0,0.0],null,0]]]');
DELETE FROM word;
INSERT INTO word("id","field","value","folded") VALUES (1,'lang','en','en');
INSERT INTO word("id","field","value","folded") VALUES (2,'channel','site','site');
INSERT INTO word("id","field","value","folded") VALUES (3,'source','shop','shop');
INSERT INTO word("id","field","value","folded") VALUES (4,'kind','review','review');
INSERT INTO word("id","field","value","folded") VALUES (5,'model','fake@1','fake@1');
INSERT INTO word("id","field","value","folded") VALUES (6,'step','reception','reception');
INSERT INTO word("id","field","value","folded") VALUES (7,'brand','Acme','acme');
PRAGMA user_version = 1;
