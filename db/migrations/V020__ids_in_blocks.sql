-- A statement that publishes draws one number for all of its records: the sequences of topics count by 2048, and a
-- record's id is the number drawn plus its place. It was a number per record.
--
-- Numbers are multiples of 2048 from now on, so a block of ids lies within one chunk.
--
-- Old code: it draws a number for each record, which serves as well.
-- The lock on a sequence waits for transactions that have published and are open, and publishers wait behind it.

-- A topic made by the function as it was would have a sequence that counts by one, and statements that draw from it
-- would collide. So none is made from here until the function is replaced, by the repeatable script that comes next:
-- whoever tries gets an error. CREATE OR REPLACE leaves who may call it as it is. The lock waits for those at it.
CREATE OR REPLACE FUNCTION trunkline.create_topic_storage(topic_id integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'topic % cannot be made while the schema is being upgraded', topic_id
    USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

DO $$
DECLARE
  sequence regclass;
BEGIN
  LOCK TABLE trunkline.topic IN SHARE ROW EXCLUSIVE MODE;
  FOR sequence IN SELECT id_sequence FROM trunkline.topic WHERE id_sequence IS NOT NULL ORDER BY id LOOP
    EXECUTE format('ALTER SEQUENCE %s INCREMENT BY 2048', sequence);
    PERFORM setval(sequence, (coalesce(pg_sequence_last_value(sequence), 0) / 2048 + 1) * 2048);
  END LOOP;
END
$$;

UPDATE trunkline.schema_version SET version = 20;
