-- Retention and compaction: what they have to remember.
--
--   chunk.emptied_at  retention has taken the records; the table itself may have to wait for open transactions
--   latest_by_key     compaction: the newest record of each key, as far as the log has been looked at
--   compaction        compaction: how far that is
--
-- Old code: it knows nothing of these, and works on.

ALTER TABLE trunkline.chunk ADD COLUMN emptied_at timestamptz;

-- The last offset that a chunk has in a partition is one step into this index.
DROP INDEX trunkline.segment_chunk_idx;
CREATE INDEX segment_chunk_idx ON trunkline.segment (topic_id, chunk, partition, base_offset);

-- Inserted and deleted, never updated. With it compaction reads each record once, and the log needs no index on keys.
CREATE TABLE trunkline.latest_by_key (
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  record_id bigint NOT NULL,
  -- The first half of the MD5 of the key: the same in every version of PostgreSQL, unlike its own hash functions.
  key_hash bigint NOT NULL,
  is_tombstone boolean NOT NULL,
  key text NOT NULL,
  PRIMARY KEY (topic_id, partition, "offset")
);

CREATE INDEX latest_by_key_hash_idx ON trunkline.latest_by_key (topic_id, partition, key_hash);
CREATE INDEX latest_by_key_tombstone_idx ON trunkline.latest_by_key (topic_id, partition, "offset") WHERE is_tombstone;

-- One row a step; the newest of a partition counts, and is read from the end of the primary key.
CREATE TABLE trunkline.compaction (
  topic_id integer NOT NULL,
  partition integer NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  -- The next offset to look at.
  next_offset bigint NOT NULL,
  PRIMARY KEY (topic_id, partition, id)
);

ALTER TABLE trunkline.latest_by_key SET (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.compaction SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

UPDATE trunkline.schema_version SET version = 9;
