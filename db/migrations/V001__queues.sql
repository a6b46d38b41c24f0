-- Queues and the version of this schema.
--
-- A queue's row holds what every process must agree on. It is read by hot statements and changed only by
-- people (declare, alter, pause, delete), so it never becomes a hot row itself.
-- Old code: there is none before this version.

-- Flyway has made the schema already; psql has not.
DO $$
BEGIN
  IF to_regnamespace('trunkline') IS NULL THEN
    CREATE SCHEMA trunkline;
  END IF;
END
$$;

-- One row. "version" is the newest migration applied; "oldest_client" is the oldest library schema version that
-- still works on it: a change that old code survives leaves it alone (expand), one that old code does not survive
-- raises it (contract). Kept apart from any migration tool's history, so that it also holds where the scripts were
-- run by hand.
CREATE TABLE trunkline.schema_version (
  version integer NOT NULL,
  oldest_client integer NOT NULL,
  CONSTRAINT schema_version_is_ordered CHECK (oldest_client <= version)
);

CREATE UNIQUE INDEX schema_version_one_row_idx ON trunkline.schema_version ((true));

INSERT INTO trunkline.schema_version (version, oldest_client) VALUES (1, 1);

CREATE TABLE trunkline.queue (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  visibility_timeout interval NOT NULL,
  -- Failed or lost deliveries after which a message is dead; null means never, and has to be asked for.
  max_deliveries integer,
  retry_initial_delay interval NOT NULL,
  retry_max_delay interval NOT NULL,
  retry_multiplier double precision NOT NULL,
  retry_jitter text NOT NULL,
  max_payload_bytes integer NOT NULL,
  paused boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- A deleted queue stays as a tombstone until nothing of it is left: a sender whose transaction was open while the
  -- queue was deleted may still add messages, and the maintenance finds them through this row.
  deleted_at timestamptz,
  CONSTRAINT queue_name_is_valid CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$'),
  CONSTRAINT queue_visibility_timeout_is_positive CHECK (visibility_timeout > interval '0'),
  CONSTRAINT queue_max_deliveries_is_positive CHECK (max_deliveries > 0),
  CONSTRAINT queue_retry_delays_are_ordered CHECK (
    retry_initial_delay >= interval '0' AND retry_max_delay >= retry_initial_delay),
  CONSTRAINT queue_retry_multiplier_grows CHECK (retry_multiplier >= 1),
  CONSTRAINT queue_retry_jitter_is_known CHECK (retry_jitter IN ('FULL', 'NONE')),
  CONSTRAINT queue_max_payload_bytes_is_positive CHECK (max_payload_bytes > 0)
);

CREATE UNIQUE INDEX queue_name_idx ON trunkline.queue (name) WHERE deleted_at IS NULL;
CREATE INDEX queue_deleted_idx ON trunkline.queue (deleted_at) WHERE deleted_at IS NOT NULL;
