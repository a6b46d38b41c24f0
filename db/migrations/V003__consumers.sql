-- Consumers: one row per process, and its heartbeats.
--
-- Heartbeats are inserted, not updated: a row updated every second cannot be pruned while an old snapshot is held,
-- and would be walked version by version. The newest beat is one step from the end of the index, whatever died before.
-- Old code: there is none before this version.

CREATE TABLE trunkline.consumer (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host text NOT NULL,
  pid bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  -- Silence longer than this means that the process is dead.
  heartbeat_timeout interval NOT NULL,
  CONSTRAINT consumer_heartbeat_timeout_is_positive CHECK (heartbeat_timeout > interval '0')
);

CREATE TABLE trunkline.heartbeat (
  consumer_id bigint NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer_id, beat_at)
);

UPDATE trunkline.schema_version SET version = 3, oldest_client = 3;
