-- Shared groups: record by record instead of partition by partition, in no order, like a queue on the log.
--
--   group_commit     the cursor of each partition, as for every group: what is beyond it is ready by itself
--   shared_lease     one row per claimed batch; its id is the fencing token
--   shared_waiting   records below the cursor that wait for their next delivery
--
-- A record below the cursor that is in neither of the last two is done with, or dead. No payload is copied: ids point
-- into the log. The only copies are those of dead letters, and of dead letters on their way back (group_redelivery).
-- Old code: it knows nothing of shared groups, and works on. But a process of it that migrates after a new one puts back
-- functions by which retention does not see what shared groups hold, until the next new one starts: see the notes on
-- rolling restarts in docs/operations.md.

ALTER TABLE trunkline.consumer_group
  -- How long a claimed record is hidden from others. Shared groups only.
  ADD COLUMN visibility_timeout interval,
  ADD CONSTRAINT consumer_group_visibility_timeout_is_shared CHECK (
    (kind = 'SHARED') = (visibility_timeout IS NOT NULL) AND visibility_timeout > interval '0');

-- The i-th elements of the arrays are one record. Sorted by offset when it is made, and when it shrinks.
CREATE TABLE trunkline.shared_lease (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  member_id bigint NOT NULL,
  visible_at timestamptz NOT NULL,
  group_id integer NOT NULL,
  partition integer NOT NULL,
  offsets bigint[] NOT NULL,
  ids bigint[] NOT NULL,
  -- Failed and lost deliveries so far; null where there was none.
  deliveries integer[],
  -- Claims so far, this one included; null where this is the first.
  acquired integer[],
  -- A dead letter that came back, by its group_redelivery.id, in a lease of its own; null for records of the log.
  redelivery_id bigint,
  CONSTRAINT shared_lease_is_not_empty CHECK (cardinality(ids) > 0),
  CONSTRAINT shared_lease_arrays_are_parallel CHECK (
    cardinality(offsets) = cardinality(ids)
    AND cardinality(deliveries) = cardinality(ids)
    AND cardinality(acquired) = cardinality(ids)),
  CONSTRAINT shared_lease_redelivers_one CHECK (redelivery_id IS NULL OR cardinality(ids) = 1)
);

CREATE INDEX shared_lease_expiry_idx ON trunkline.shared_lease (visible_at);
CREATE INDEX shared_lease_member_idx ON trunkline.shared_lease (member_id);

CREATE TABLE trunkline.shared_waiting (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  due_at timestamptz NOT NULL,
  group_id integer NOT NULL,
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  record_id bigint NOT NULL,
  deliveries integer NOT NULL,
  acquired integer NOT NULL,
  redelivery_id bigint,
  CONSTRAINT shared_waiting_counts_are_positive CHECK (deliveries >= 0 AND acquired >= 0)
);

CREATE INDEX shared_waiting_due_idx ON trunkline.shared_waiting (group_id, due_at);
-- Retention asks for the lowest.
CREATE INDEX shared_waiting_offset_idx ON trunkline.shared_waiting (group_id, partition, "offset")
  WHERE redelivery_id IS NULL;

-- They turn over all the time: vacuumed by what died, whatever their size.
ALTER TABLE trunkline.shared_lease SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE trunkline.shared_waiting SET (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- Offsets by time are asked for in this order; without the last column other indexes look as good to the planner.
DROP INDEX trunkline.segment_time_idx;
CREATE INDEX segment_time_idx ON trunkline.segment (topic_id, partition, appended_at, base_offset);

UPDATE trunkline.schema_version SET version = 11;
