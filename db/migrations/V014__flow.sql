-- Flow: how much may wait in a queue, and how fast, by how many and in which order it is delivered.
--
-- Settings are columns of the queue; null means that the queue does not ask for it. What changes all the time is
-- appended: rate marks, age marks and activations, of which the newest counts, found from the end of an index.
-- The tally learns how many bytes wait, so that a bound on bytes needs no counting either.
-- Old code does not tally the bytes, and would claim past rates, caps and the active consumer: it must not run on this.

ALTER TABLE trunkline.queue
  ADD COLUMN max_messages bigint,
  ADD COLUMN max_bytes bigint,
  ADD COLUMN overflow text,
  ADD COLUMN max_wait interval,
  ADD COLUMN pressure_at double precision,
  ADD COLUMN rate_messages integer,
  ADD COLUMN rate_period interval,
  ADD COLUMN rate_burst integer,
  ADD COLUMN max_in_flight integer,
  ADD COLUMN priority_ageing interval,
  ADD COLUMN single_active boolean NOT NULL DEFAULT false,
  ADD CONSTRAINT queue_bounds_are_positive CHECK (max_messages > 0 AND max_bytes > 0),
  ADD CONSTRAINT queue_bounds_are_whole CHECK (
    num_nulls(overflow, max_wait, pressure_at) = CASE WHEN coalesce(max_messages, max_bytes) IS NULL THEN 3 ELSE 0 END),
  ADD CONSTRAINT queue_overflow_is_known CHECK (overflow IN ('BLOCK', 'REJECT', 'DROP_OLDEST')),
  ADD CONSTRAINT queue_max_wait_is_not_negative CHECK (max_wait >= interval '0'),
  ADD CONSTRAINT queue_pressure_at_is_a_share CHECK (pressure_at > 0 AND pressure_at <= 1),
  ADD CONSTRAINT queue_rate_is_whole CHECK (num_nulls(rate_messages, rate_period, rate_burst) IN (0, 3)),
  ADD CONSTRAINT queue_rate_is_positive CHECK (rate_messages > 0 AND rate_period > interval '0' AND rate_burst > 0),
  ADD CONSTRAINT queue_max_in_flight_is_positive CHECK (max_in_flight > 0),
  ADD CONSTRAINT queue_priority_ageing_is_positive CHECK (priority_ageing > interval '0');

-- The bytes of the rows of ready and scheduled. A run that is split keeps its bytes until the last of it is taken.
ALTER TABLE trunkline.tally ADD COLUMN waiting_bytes bigint NOT NULL DEFAULT 0;

INSERT INTO trunkline.tally (queue_id, waiting_bytes)
SELECT queue_id, sum(bytes)
FROM (
  SELECT queue_id, bytes FROM trunkline.ready
  UNION ALL
  SELECT queue_id, bytes FROM trunkline.scheduled
) waiting
GROUP BY queue_id;

-- The token bucket of a queue with a rate: until when the messages claimed so far have used up the rate. Written under
-- the queue's advisory lock, by the transaction that claims.
CREATE TABLE trunkline.rate_mark (
  id bigint GENERATED ALWAYS AS IDENTITY,
  used_until timestamptz NOT NULL,
  queue_id integer NOT NULL,
  PRIMARY KEY (queue_id, id)
);

-- Where the sequence of places in line was at a time: what is in line below it has waited since then at least. For
-- queues with ageing.
CREATE TABLE trunkline.age_mark (
  queue_id integer NOT NULL,
  marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seq bigint NOT NULL,
  PRIMARY KEY (queue_id, marked_at)
);

-- Who would consume from a queue that is for one consumer at a time. A candidate lives as long as its process does.
CREATE TABLE trunkline.candidate (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer_id bigint NOT NULL,
  queue_id integer NOT NULL,
  takeover_priority integer NOT NULL
);

CREATE INDEX candidate_queue_idx ON trunkline.candidate (queue_id, takeover_priority DESC, id);

-- Which candidate became the active one; the newest epoch of a queue counts, as long as the candidate lives.
CREATE TABLE trunkline.activation (
  queue_id integer NOT NULL,
  epoch bigint NOT NULL,
  candidate_id bigint NOT NULL,
  activated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (queue_id, epoch)
);

ALTER TABLE trunkline.rate_mark SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

ALTER TABLE trunkline.dead_letter
  DROP CONSTRAINT dead_letter_reason_is_known,
  ADD CONSTRAINT dead_letter_reason_is_known CHECK (
    reason IN (
      'REJECTED', 'DELIVERY_LIMIT', 'LEASE_EXPIRED', 'NON_RETRYABLE', 'UNREADABLE', 'PARKED', 'EXPIRED', 'OVERFLOW'));

UPDATE trunkline.schema_version SET version = 14, oldest_client = 14;
