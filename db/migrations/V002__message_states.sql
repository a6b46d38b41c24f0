-- The life of a message: a table per state.
--
--   message    what was sent; written once, never updated, deleted when the message is settled for good
--   ready      runs of messages that may be claimed now
--   scheduled  messages that wait for their time: delayed by the sender, or backing off
--   lease      batches that a consumer holds; the row's id is the fencing token
--
-- Every message id stands in exactly one of ready, scheduled and lease. There are no foreign keys between them: each
-- would lock a hot row per message. The tests check the rule after every test instead.
-- Old code: there is none before this version.

-- Message ids and places in line (ready.seq) come from one sequence: a fresh message's place is its id.
CREATE SEQUENCE trunkline.message_id_seq AS bigint;

CREATE TABLE trunkline.message (
  id bigint NOT NULL DEFAULT nextval('trunkline.message_id_seq') PRIMARY KEY,
  enqueued_at timestamptz NOT NULL DEFAULT now(),
  queue_id integer NOT NULL,
  priority smallint NOT NULL,
  key text,
  type text,
  content_type text,
  headers jsonb,
  -- Earlier deaths, newest first: filled when a dead letter is replayed.
  deaths jsonb,
  payload bytea NOT NULL,
  CONSTRAINT message_priority_is_a_digit CHECK (priority BETWEEN 0 AND 9)
);

-- A row is a run: up to 32 messages of one queue and priority that were sent by one statement. A run is claimed whole,
-- or split, so 20 messages cost one row, one index entry and one tuple lock instead of 20 of each. Rows are inserted and
-- deleted, never updated: the claim relies on it.
-- deliveries and acquired are null while every count in them is zero.
CREATE TABLE trunkline.ready (
  seq bigint NOT NULL,
  queue_id integer NOT NULL,
  bytes integer NOT NULL,
  priority smallint NOT NULL,
  ids bigint[] NOT NULL,
  deliveries integer[],
  acquired integer[],
  CONSTRAINT ready_run_is_not_empty CHECK (cardinality(ids) > 0)
);

-- Exactly the claim's WHERE and ORDER BY.
CREATE INDEX ready_claim_idx ON trunkline.ready (queue_id, priority, seq);

CREATE TABLE trunkline.scheduled (
  id bigint PRIMARY KEY,
  due_at timestamptz NOT NULL,
  queue_id integer NOT NULL,
  bytes integer NOT NULL,
  priority smallint NOT NULL,
  deliveries integer NOT NULL DEFAULT 0,
  acquired integer NOT NULL DEFAULT 0
);

CREATE INDEX scheduled_due_idx ON trunkline.scheduled (due_at, id);
CREATE INDEX scheduled_queue_idx ON trunkline.scheduled (queue_id, due_at, id);

CREATE TABLE trunkline.lease (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer_id bigint NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  visible_at timestamptz NOT NULL,
  queue_id integer NOT NULL,
  ids bigint[] NOT NULL,
  -- Parallel to ids: failed or lost deliveries so far, and claims including this one.
  deliveries integer[] NOT NULL,
  acquired integer[] NOT NULL,
  CONSTRAINT lease_is_not_empty CHECK (cardinality(ids) > 0),
  CONSTRAINT lease_arrays_are_parallel CHECK (
    cardinality(deliveries) = cardinality(ids) AND cardinality(acquired) = cardinality(ids))
);

CREATE INDEX lease_expiry_idx ON trunkline.lease (visible_at);
CREATE INDEX lease_consumer_idx ON trunkline.lease (consumer_id);

-- The state tables are small and turn over completely: vacuum them by count, not by share of their size.
ALTER TABLE trunkline.ready SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.lease SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.scheduled SET (
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.message SET (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);

UPDATE trunkline.schema_version SET version = 2, oldest_client = 2;
