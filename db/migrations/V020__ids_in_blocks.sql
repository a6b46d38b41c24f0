-- A statement that publishes draws one number for all of its records: the sequences of topics count by 2048, and a
-- record's id is the number drawn plus its place. It was a number per record.
--
-- Numbers are multiples of 2048 from now on, so a block of ids lies within one chunk.
--
-- Old code: it draws a number for each record, which serves as well.
-- The lock on a sequence waits for transactions that have published and are open, and publishers wait behind it.

DO $$
DECLARE
  sequence regclass;
BEGIN
  FOR sequence IN SELECT id_sequence FROM trunkline.topic WHERE id_sequence IS NOT NULL ORDER BY id LOOP
    EXECUTE format('ALTER SEQUENCE %s INCREMENT BY 2048', sequence);
    PERFORM setval(sequence, (coalesce(pg_sequence_last_value(sequence), 0) / 2048 + 1) * 2048);
  END LOOP;
END
$$;

UPDATE trunkline.schema_version SET version = 20;
