-- Queues that keep order by key, or share themselves fairly between keys.
--
--   line         what waits, by key and id; takes the place of ready
--   turn         whose turn it is: batons, and arrivals. A baton is the right to claim from its key; an open key has one,
--                or its message is in a lease, or the key is parked. An arrival says that something was sent to a key
--                that may not be open
--   turn_later   batons that wait: for the back-off of the head of their line, or for a sender's transaction to end
--   open_key     the keys that are open: one row each, made and removed by claimers
--   key_mark     says that its key has been announced. Whoever puts a message into a line locks one until he commits, or
--                leaves one of his own, with an arrival; removed only with every lock in hand
--   parked_line  batons of keys that wait for an operator, behind a dead letter
--
-- Rows are inserted and deleted, never updated. There is no unique index that a sender could have to wait at.
-- Old code would put the messages of such queues into ready, where nobody looks: it must not go on.

ALTER TABLE trunkline.queue
  -- FIFO or FAIR; null means that the key is a label.
  ADD COLUMN ordering text,
  ADD COLUMN failure_policy text,
  ADD CONSTRAINT queue_ordering_is_known CHECK (ordering IN ('FIFO', 'FAIR')),
  ADD CONSTRAINT queue_failure_policy_is_known CHECK (failure_policy IN ('BLOCK', 'SKIP', 'PARK')),
  ADD CONSTRAINT queue_failure_policy_is_of_fifo CHECK (
    (ordering IS NOT DISTINCT FROM 'FIFO') = (failure_policy IS NOT NULL));

-- The order of a key is that of the ids. due_at: not before, because the attempt before failed, or was put off.
-- expires_at: as that of the message.
CREATE TABLE trunkline.line (
  id bigint NOT NULL,
  due_at timestamptz,
  expires_at timestamptz,
  queue_id integer NOT NULL,
  bytes integer NOT NULL,
  deliveries integer NOT NULL DEFAULT 0,
  acquired integer NOT NULL DEFAULT 0,
  key text NOT NULL COLLATE "C",
  PRIMARY KEY (queue_id, key, id)
);

CREATE INDEX line_expiry_idx ON trunkline.line (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE trunkline.turn (
  seq bigint NOT NULL,
  -- A baton: nothing of its line is below from_id, unless a mark of its key is. An arrival has no from_id.
  from_id bigint,
  queue_id integer NOT NULL,
  -- How many messages were claimed since from_id was found.
  walked integer NOT NULL DEFAULT 0,
  -- How often the baton has waited in vain for a sender.
  hops smallint NOT NULL DEFAULT 0,
  key text NOT NULL COLLATE "C"
);

CREATE INDEX turn_claim_idx ON trunkline.turn (queue_id, seq);

CREATE TABLE trunkline.turn_later (
  due_at timestamptz NOT NULL,
  from_id bigint NOT NULL,
  queue_id integer NOT NULL,
  walked integer NOT NULL DEFAULT 0,
  hops smallint NOT NULL,
  key text NOT NULL COLLATE "C"
);

CREATE INDEX turn_later_due_idx ON trunkline.turn_later (due_at);
CREATE INDEX turn_later_queue_idx ON trunkline.turn_later (queue_id);

CREATE TABLE trunkline.open_key (
  queue_id integer NOT NULL,
  key text NOT NULL COLLATE "C",
  PRIMARY KEY (queue_id, key)
);

CREATE TABLE trunkline.key_mark (
  id bigint GENERATED ALWAYS AS IDENTITY,
  -- Of the messages that it was left with: none has a smaller id.
  first_id bigint NOT NULL,
  queue_id integer NOT NULL,
  key text NOT NULL COLLATE "C",
  PRIMARY KEY (queue_id, key, first_id, id)
);

CREATE TABLE trunkline.parked_line (
  -- The dead letter that the key waits behind.
  message_id bigint NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  queue_id integer NOT NULL,
  key text NOT NULL COLLATE "C",
  PRIMARY KEY (queue_id, key)
);

-- Of a FIFO queue: the one key of the messages in it, and of its baton from_id and walked.
ALTER TABLE trunkline.lease
  ADD COLUMN key text COLLATE "C",
  ADD COLUMN key_from bigint,
  ADD COLUMN key_walked integer NOT NULL DEFAULT 0,
  ADD CONSTRAINT lease_of_key_goes_on CHECK ((key IS NULL) = (key_from IS NULL));

-- Of a queue that is keyed: joins the line of its key when it is due.
ALTER TABLE trunkline.scheduled ADD COLUMN key text COLLATE "C";

ALTER TABLE trunkline.line SET (
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.turn SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.turn_later SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.open_key SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.key_mark SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

UPDATE trunkline.schema_version SET version = 16, oldest_client = 16;
