-- Batches of records: what one statement puts into one partition and chunk is found, and given its offsets, as a whole.
--
--   record.followers    in the record that stands for its batch, the ids of the others; null in those
--   record.batch_bytes  in the same record, the payload bytes of the batch; null if it is of code that knows no batches
--
-- Only records that stand for a batch are in the index that the sequencer looks into: one entry per batch. The chunks
-- that are there keep their index on all records, which serves as well; new ones are made with the smaller one.
--
-- The ids of a segment are no longer sorted: they are batch after batch, in the order of the batches' first ids.
--
-- Old code: what it publishes stands for itself, which the default says; what it sequences it finds record by record.
-- The lock waits for transactions that have published and are open, and publishers wait behind it.

ALTER TABLE trunkline.record
  ADD COLUMN followers bigint[] DEFAULT '{}',
  ADD COLUMN batch_bytes integer;

UPDATE trunkline.schema_version SET version = 17;
