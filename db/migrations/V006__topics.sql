-- Topics: an append-only log in partitions, whose offsets are given after the commit.
--
--   record      what was published; written once, never updated; its id says nothing about the order of commits
--   segment     a run of offsets of one partition, and the ids of the records that have them; written once
--   sequencing  how far the log has been sequenced: a snapshot, one row a step, the newest counts
--   chunk       the tables that hold the records of a topic: made ahead, dropped whole by retention
--
-- Publishers insert into record and lock nothing. Whoever reads at the end of the log sequences first: it gives offsets
-- to the records that the new snapshot sees and the one before did not. A record that commits late gets a late offset,
-- so a reader that is past an offset never sees anything below it, and nobody waits for a long transaction.
-- Old code: it knows nothing of topics, and works on.

CREATE TABLE trunkline.topic (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  partitions integer NOT NULL,
  max_payload_bytes integer NOT NULL,
  -- Null means for ever, or any number of bytes.
  retention_age interval,
  retention_bytes bigint,
  -- What retention does when a consumer group has not read yet what it would drop.
  slow_groups text NOT NULL,
  -- HOLD_UP_TO: the bytes beyond which it drops all the same.
  slow_groups_cap_bytes bigint,
  -- Compaction keeps the newest record of each key; null means that there is none. A tombstone is kept for so long.
  compaction_lag interval,
  tombstone_retention interval,
  -- A chunk is closed when it is this old or this large; null means as the retention asks for.
  chunk_age interval,
  chunk_bytes bigint,
  -- Hands out the ids of this topic's records. By name in a dump, so that a restore finds it.
  id_sequence regclass,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- A deleted topic stays as a tombstone until its tables are dropped, which may have to wait for open transactions.
  deleted_at timestamptz,
  CONSTRAINT topic_name_is_valid CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$'),
  CONSTRAINT topic_partitions_are_counted CHECK (partitions BETWEEN 1 AND 1000),
  CONSTRAINT topic_max_payload_bytes_is_positive CHECK (max_payload_bytes > 0),
  CONSTRAINT topic_retention_is_positive CHECK (retention_age > interval '0' AND retention_bytes > 0),
  CONSTRAINT topic_slow_groups_is_known CHECK (slow_groups IN ('HOLD', 'HOLD_UP_TO', 'DROP')),
  CONSTRAINT topic_slow_groups_cap_is_given CHECK ((slow_groups = 'HOLD_UP_TO') = (slow_groups_cap_bytes IS NOT NULL)),
  CONSTRAINT topic_compaction_is_whole CHECK ((compaction_lag IS NULL) = (tombstone_retention IS NULL)),
  CONSTRAINT topic_chunks_are_bounded CHECK (chunk_age > interval '0' AND chunk_bytes > 0)
);

CREATE UNIQUE INDEX topic_name_idx ON trunkline.topic (name) WHERE deleted_at IS NULL;

-- Where each partition begins. The row changes when retention drops a chunk, which is seldom.
CREATE TABLE trunkline.topic_partition (
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  -- The first offset that has not been dropped.
  log_start bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (topic_id, partition)
);

-- The id comes from the topic's own sequence and is drawn after the xid, by the statement that publishes: all ids of a
-- transaction are larger than any drawn before it had its xid. The sequencer relies on it (sequencing.floor_id).
CREATE TABLE trunkline.record (
  xid xid8 NOT NULL,
  id bigint NOT NULL,
  -- The publisher's word for when it happened; the start of its transaction, if it gave none.
  source_at timestamptz NOT NULL DEFAULT now(),
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  key text,
  type text,
  content_type text,
  headers jsonb,
  -- Null is a tombstone: the key is gone.
  payload bytea,
  CONSTRAINT record_tombstone_has_key CHECK (payload IS NOT NULL OR key IS NOT NULL),
  -- Parked keys and dead letters are found by it: an index entry has at most 2,704 bytes.
  CONSTRAINT record_key_is_short CHECK (octet_length(key) <= 2000)
) PARTITION BY LIST (topic_id);

-- Chunk n of a topic holds the ids from n * 2^40 on. It is closed by moving the topic's sequence to the next one.
CREATE TABLE trunkline.chunk (
  topic_id integer NOT NULL,
  number integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When ids of it were first handed out; null while it is ahead.
  opened_at timestamptz,
  -- When the sequence left it; null while it is the current one, or ahead. A transaction that was open may still commit
  -- records into it.
  closed_at timestamptz,
  PRIMARY KEY (topic_id, number)
);

-- At most 200 records of one partition and one chunk. ids is sorted; offset = base_offset + position - 1.
-- A record that compaction removed leaves its id here: the offsets of the others stay.
CREATE TABLE trunkline.segment (
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  base_offset bigint NOT NULL,
  -- When these offsets were given: the append time of the records. Never smaller than that of an earlier segment.
  appended_at timestamptz NOT NULL,
  bytes integer NOT NULL,
  chunk integer NOT NULL,
  ids bigint[] NOT NULL,
  PRIMARY KEY (topic_id, partition, base_offset),
  CONSTRAINT segment_is_not_empty CHECK (cardinality(ids) > 0)
);

CREATE INDEX segment_time_idx ON trunkline.segment (topic_id, partition, appended_at);
CREATE INDEX segment_chunk_idx ON trunkline.segment (topic_id, chunk);

-- One row a step, inserted, never updated: a row updated at each step could not be pruned while a snapshot is held.
-- Read from the end of the primary key, one step.
CREATE TABLE trunkline.sequencing (
  topic_id integer NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  -- Everything that this sees has an offset.
  snapshot pg_snapshot NOT NULL,
  -- Records up to this id have their offset, or never will: a look begins after it.
  floor_id bigint NOT NULL,
  -- Becomes the floor once this transaction, the step's own, and all older ones have ended.
  next_floor_xid xid8 NOT NULL,
  next_floor_id bigint NOT NULL,
  -- The cluster that the snapshot speaks of: xids mean nothing in another one.
  cluster bigint NOT NULL,
  sequenced_at timestamptz NOT NULL,
  PRIMARY KEY (topic_id, id)
);

ALTER TABLE trunkline.sequencing SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

UPDATE trunkline.schema_version SET version = 6;
