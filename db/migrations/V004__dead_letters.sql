-- Dead letters: a full copy of the message, and why it died. Outlives the message row and the queue.
--
-- The copy is made by the statement that deletes the message, so a message is never in both and never in neither.
-- The queue is kept by name: a queue declared again under the same name finds its dead letters.
-- Old code: there is none before this version.

CREATE TABLE trunkline.dead_letter (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  died_at timestamptz NOT NULL DEFAULT now(),
  message_id bigint NOT NULL,
  queue text NOT NULL,
  reason text NOT NULL,
  -- What the handler said with Outcome.deadLetter(detail).
  detail text,
  error_class text,
  error_message text,
  error_stack text,
  -- Failed or lost attempts, and claims, at the time of death.
  deliveries integer NOT NULL,
  acquired integer NOT NULL,
  enqueued_at timestamptz NOT NULL,
  priority smallint NOT NULL,
  key text,
  type text,
  content_type text,
  headers jsonb,
  deaths jsonb,
  payload bytea NOT NULL,
  CONSTRAINT dead_letter_reason_is_known CHECK (
    reason IN ('REJECTED', 'DELIVERY_LIMIT', 'LEASE_EXPIRED', 'NON_RETRYABLE', 'UNREADABLE'))
);

CREATE INDEX dead_letter_queue_idx ON trunkline.dead_letter (queue, id);
CREATE INDEX dead_letter_message_idx ON trunkline.dead_letter (message_id);

UPDATE trunkline.schema_version SET version = 4, oldest_client = 4;
