-- Consumer groups: who reads which partition of a topic, and how far each group has come.
--
--   consumer_group    what all processes agree on about a group
--   group_member      whoever reads for it now; member_heartbeat says that it lives
--   group_partition   which member owns a partition, and the epoch of that: the fencing token
--   group_commit      how far the group has come; appended, the newest row of a partition counts
--   group_failure     failed attempts at a record; appended, the newest row of a record counts
--   parked_key        keys that wait behind a dead letter of theirs
--   group_redelivery  dead letters on their way back to the group
--
-- group_partition changes on rebalances only: seldom. What changes all the time (beats, commits) is inserted, never
-- updated: a row updated every second could not be pruned while an old snapshot is held.
-- Old code: it knows nothing of topics, and works on; the columns of dead_letter that it writes stay as they are.

CREATE TABLE trunkline.consumer_group (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic_id integer NOT NULL,
  name text NOT NULL,
  kind text NOT NULL,
  -- A member that was silent for longer is dead.
  session_timeout interval NOT NULL,
  -- What happens when the position is not in the log: retention was faster, or the log is another one.
  out_of_range text NOT NULL,
  -- What becomes of a record that fails again and again.
  failure_policy text NOT NULL,
  -- Failed attempts after which a record is given up; null means never.
  max_deliveries integer,
  retry_initial_delay interval NOT NULL,
  retry_max_delay interval NOT NULL,
  retry_multiplier double precision NOT NULL,
  retry_jitter text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT consumer_group_name_is_valid CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$'),
  CONSTRAINT consumer_group_kind_is_known CHECK (kind IN ('ORDERED', 'SHARED')),
  CONSTRAINT consumer_group_session_timeout_is_positive CHECK (session_timeout > interval '0'),
  CONSTRAINT consumer_group_out_of_range_is_known CHECK (out_of_range IN ('FAIL', 'EARLIEST', 'LATEST')),
  CONSTRAINT consumer_group_failure_policy_is_known CHECK (failure_policy IN ('BLOCK', 'SKIP', 'PARK')),
  CONSTRAINT consumer_group_max_deliveries_is_positive CHECK (max_deliveries > 0),
  CONSTRAINT consumer_group_retry_delays_are_ordered CHECK (
    retry_initial_delay >= interval '0' AND retry_max_delay >= retry_initial_delay),
  CONSTRAINT consumer_group_retry_multiplier_grows CHECK (retry_multiplier >= 1),
  CONSTRAINT consumer_group_retry_jitter_is_known CHECK (retry_jitter IN ('FULL', 'NONE'))
);

CREATE UNIQUE INDEX consumer_group_name_idx ON trunkline.consumer_group (topic_id, name);

CREATE TABLE trunkline.group_member (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  group_id integer NOT NULL,
  -- A static member: whoever comes back under this id within the session has its partitions back.
  instance_id text,
  host text NOT NULL,
  pid bigint NOT NULL,
  session_timeout interval NOT NULL,
  joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- A static member that has closed: its place may be taken at once.
  away boolean NOT NULL DEFAULT false,
  CONSTRAINT group_member_session_timeout_is_positive CHECK (session_timeout > interval '0'),
  CONSTRAINT group_member_away_is_static CHECK (NOT away OR instance_id IS NOT NULL)
);

CREATE INDEX group_member_group_idx ON trunkline.group_member (group_id);
CREATE UNIQUE INDEX group_member_instance_idx ON trunkline.group_member (group_id, instance_id)
  WHERE instance_id IS NOT NULL;

CREATE TABLE trunkline.member_heartbeat (
  member_id bigint NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (member_id, beat_at)
);

CREATE TABLE trunkline.group_partition (
  group_id integer NOT NULL,
  partition integer NOT NULL,
  -- Grows whenever the owner changes. Whoever commits names the epoch under which it got the partition.
  epoch bigint NOT NULL DEFAULT 0,
  -- Null while nobody owns it.
  member_id bigint,
  -- The member that the owner is to hand it over to, as soon as it has finished the record in hand.
  wanted_by bigint,
  PRIMARY KEY (group_id, partition),
  CONSTRAINT group_partition_wanted_is_owned CHECK (wanted_by IS NULL OR member_id IS NOT NULL),
  CONSTRAINT group_partition_wanted_by_another CHECK (wanted_by <> member_id)
);

-- committed is the next offset that the group has not done with.
CREATE TABLE trunkline.group_commit (
  group_id integer NOT NULL,
  partition integer NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  committed bigint NOT NULL,
  epoch bigint NOT NULL,
  committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (group_id, partition, id),
  CONSTRAINT group_commit_is_an_offset CHECK (committed >= 0)
);

-- failures counts the failed attempts so far, this one included.
CREATE TABLE trunkline.group_failure (
  group_id integer NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  failures integer NOT NULL,
  failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  error_class text,
  error_message text,
  PRIMARY KEY (group_id, partition, "offset", failures)
);

CREATE TABLE trunkline.parked_key (
  group_id integer NOT NULL,
  partition integer NOT NULL,
  key text NOT NULL,
  -- The record that it waits behind.
  "offset" bigint NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (group_id, partition, key)
);

-- Delivered to its group only, at the record's own offset, before newer records of the partition. A full copy:
-- retention may have dropped the record since.
CREATE TABLE trunkline.group_redelivery (
  group_id integer NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  record_id bigint NOT NULL,
  source_at timestamptz NOT NULL,
  appended_at timestamptz NOT NULL,
  key text,
  type text,
  content_type text,
  headers jsonb,
  deaths jsonb,
  payload bytea,
  PRIMARY KEY (group_id, partition, "offset", id)
);

ALTER TABLE trunkline.group_commit SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.member_heartbeat SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- The dead letters of topics stand beside those of queues. enqueued_at of a record is when its publisher says it
-- happened, appended_at when it got its offset.
ALTER TABLE trunkline.dead_letter
  ALTER COLUMN queue DROP NOT NULL,
  ALTER COLUMN message_id DROP NOT NULL,
  ALTER COLUMN payload DROP NOT NULL,
  ADD COLUMN topic text,
  ADD COLUMN partition integer,
  ADD COLUMN "offset" bigint,
  ADD COLUMN group_name text,
  ADD COLUMN record_id bigint,
  ADD COLUMN appended_at timestamptz,
  ADD CONSTRAINT dead_letter_is_of_queue_or_topic CHECK ((queue IS NULL) <> (topic IS NULL)),
  ADD CONSTRAINT dead_letter_of_queue_is_whole CHECK (
    queue IS NULL OR (message_id IS NOT NULL AND payload IS NOT NULL AND group_name IS NULL)),
  ADD CONSTRAINT dead_letter_of_topic_is_whole CHECK (
    topic IS NULL
    OR (partition IS NOT NULL AND "offset" IS NOT NULL AND group_name IS NOT NULL AND record_id IS NOT NULL
      AND appended_at IS NOT NULL AND message_id IS NULL)),
  DROP CONSTRAINT dead_letter_reason_is_known,
  ADD CONSTRAINT dead_letter_reason_is_known CHECK (
    reason IN ('REJECTED', 'DELIVERY_LIMIT', 'LEASE_EXPIRED', 'NON_RETRYABLE', 'UNREADABLE', 'PARKED'));

CREATE INDEX dead_letter_group_idx ON trunkline.dead_letter (topic, group_name, id) WHERE topic IS NOT NULL;
CREATE INDEX dead_letter_key_idx ON trunkline.dead_letter (topic, group_name, partition, key, "offset")
  WHERE topic IS NOT NULL;

UPDATE trunkline.schema_version SET version = 7;
