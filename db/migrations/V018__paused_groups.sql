-- Shared groups can be paused, as queues can.
-- Old code works on: it does not know of the pause, and claims for a paused group as for any other.

ALTER TABLE trunkline.consumer_group
  ADD COLUMN paused boolean NOT NULL DEFAULT false,
  -- An ordered group has owners, who pause their partitions themselves.
  ADD CONSTRAINT consumer_group_paused_is_shared CHECK (kind = 'SHARED' OR NOT paused);

UPDATE trunkline.schema_version SET version = 18;
