-- Send rules: deduplicated sends, named producers, expiry.
--
-- What a queue asks for stands in nullable columns of its row; a queue that asks for nothing has nulls, and so have its
-- messages, for which nothing changes.
-- Old code delivers messages whose time is over, and sends without looking for duplicates: it must not go on.

ALTER TABLE trunkline.queue
  -- How long a deduplication id is remembered; null if the queue does not deduplicate.
  ADD COLUMN dedup_window interval,
  ADD COLUMN dedup_scope text,
  ADD COLUMN dedup_by_content boolean,
  -- How long a message lives at most; null if as long as it takes.
  ADD COLUMN time_to_live interval,
  ADD COLUMN expired_messages text,
  ADD CONSTRAINT queue_dedup_window_is_positive CHECK (dedup_window > interval '0'),
  ADD CONSTRAINT queue_dedup_scope_is_known CHECK (dedup_scope IN ('QUEUE', 'KEY')),
  ADD CONSTRAINT queue_dedup_is_whole CHECK (num_nulls(dedup_window, dedup_scope, dedup_by_content) IN (0, 3)),
  ADD CONSTRAINT queue_time_to_live_is_positive CHECK (time_to_live > interval '0'),
  ADD CONSTRAINT queue_expired_messages_is_known CHECK (expired_messages IN ('DROP', 'DEAD_LETTER')),
  ADD CONSTRAINT queue_expiry_is_whole CHECK (num_nulls(time_to_live, expired_messages) IN (0, 2)),
  ADD CONSTRAINT queue_dedup_window_is_within_time_to_live CHECK (dedup_window <= time_to_live);

-- The first message of each deduplication id. Inserted by the transaction that sends it, so that it is there if and only
-- if the message was sent; the primary key decides between two senders. Outlives the message. A row is updated only when
-- its time is over and the id is used again; the maintenance deletes the others in steps.
CREATE TABLE trunkline.dedup (
  message_id bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  queue_id integer NOT NULL,
  -- Empty for the whole queue, else the message's key.
  scope text NOT NULL COLLATE "C",
  dedup_id text NOT NULL COLLATE "C",
  PRIMARY KEY (queue_id, scope, dedup_id)
);

CREATE INDEX dedup_expiry_idx ON trunkline.dedup (expires_at);

ALTER TABLE trunkline.dedup SET (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);

-- Named producers. The row is locked by every send and updated only when the producer is opened anew, which waits for
-- sends of the old epoch that have not ended, and makes later ones find nothing.
CREATE TABLE trunkline.producer (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  epoch bigint NOT NULL DEFAULT 1,
  opened_at timestamptz NOT NULL DEFAULT now(),
  queue_id integer NOT NULL,
  name text NOT NULL COLLATE "C",
  CONSTRAINT producer_epoch_is_positive CHECK (epoch > 0)
);

CREATE UNIQUE INDEX producer_name_idx ON trunkline.producer (queue_id, name);

-- How far each producer has come: a row per send, the newest counts. Append-only; the maintenance deletes the others.
CREATE TABLE trunkline.producer_progress (
  producer_id bigint NOT NULL,
  sequence bigint NOT NULL,
  sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (producer_id, sequence)
);

CREATE INDEX producer_progress_age_idx ON trunkline.producer_progress (sent_at);

ALTER TABLE trunkline.producer_progress SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- When the message expires, and what its sender asked for; null for messages that live as long as it takes.
ALTER TABLE trunkline.message
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN time_to_live interval;

-- A replayed dead letter gets a fresh time, as long as the first.
ALTER TABLE trunkline.dead_letter
  ADD COLUMN time_to_live interval,
  DROP CONSTRAINT dead_letter_reason_is_known,
  ADD CONSTRAINT dead_letter_reason_is_known CHECK (
    reason IN (
      'REJECTED', 'DELIVERY_LIMIT', 'LEASE_EXPIRED', 'NON_RETRYABLE', 'UNREADABLE', 'PARKED', 'EXPIRED'));

-- Where the sweep finds what has expired. In ready it is a lower bound for the messages of the run: the rest of a run
-- that was split keeps it.
ALTER TABLE trunkline.ready ADD COLUMN expires_at timestamptz;
ALTER TABLE trunkline.scheduled ADD COLUMN expires_at timestamptz;

CREATE INDEX ready_expiry_idx ON trunkline.ready (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX scheduled_expiry_idx ON trunkline.scheduled (expires_at) WHERE expires_at IS NOT NULL;

-- Messages whose time was over before they were handled, dropped or dead.
ALTER TABLE trunkline.tally
  ADD COLUMN expired bigint NOT NULL DEFAULT 0;

UPDATE trunkline.schema_version SET version = 12, oldest_client = 12;
