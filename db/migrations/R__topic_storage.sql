-- The tables that hold the records of topics: made, closed and dropped here and nowhere else. These functions run as the
-- owner of the schema, so that an application's role needs no CREATE. Functions are made anew whenever this file changes.

-- The tables of a new topic: its part of record, its sequence, and its first two chunks.
-- ATTACH locks the parent against other DDL only; CREATE TABLE ... PARTITION OF would lock it against publishers, too.
CREATE OR REPLACE FUNCTION trunkline.create_topic_storage(topic_id integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  own text := format('trunkline.record_%s', topic_id);
BEGIN
  IF NOT EXISTS (SELECT 1 FROM trunkline.topic t WHERE t.id = create_topic_storage.topic_id) THEN
    RAISE EXCEPTION 'topic % does not exist', topic_id USING ERRCODE = 'undefined_object';
  END IF;
  EXECUTE format('CREATE SEQUENCE %s_id_seq AS bigint', own);
  EXECUTE format(
    'CREATE TABLE %s (LIKE trunkline.record INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (id)', own);
  EXECUTE format('ALTER TABLE trunkline.record ATTACH PARTITION %s FOR VALUES IN (%s)', own, topic_id);
  UPDATE trunkline.topic t
  SET id_sequence = format('%s_id_seq', own)::regclass
  WHERE t.id = create_topic_storage.topic_id;

  PERFORM trunkline.add_chunk(topic_id);
  PERFORM trunkline.add_chunk(topic_id);
  UPDATE trunkline.chunk c
  SET opened_at = clock_timestamp()
  WHERE c.topic_id = create_topic_storage.topic_id AND c.number = 0;

  INSERT INTO trunkline.sequencing (
    topic_id, snapshot, floor_id, next_floor_xid, next_floor_id, cluster, sequenced_at)
  SELECT
    topic_id, pg_current_snapshot(), 0, pg_current_xact_id(), 0, system_identifier, clock_timestamp()
  FROM pg_control_system();
END
$$;

-- The next chunk of a topic, empty and ahead of its time. Answers its number.
-- The ids of a chunk are a range of 2^40, which no chunk ever fills: it is closed by age or bytes long before.
CREATE OR REPLACE FUNCTION trunkline.add_chunk(topic_id integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  own text := format('trunkline.record_%s', topic_id);
  added integer;
BEGIN
  -- One at a time: two processes would make the same one.
  PERFORM 1 FROM trunkline.topic t WHERE t.id = add_chunk.topic_id AND t.deleted_at IS NULL FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'topic % does not exist', topic_id USING ERRCODE = 'undefined_object';
  END IF;
  SELECT coalesce(max(c.number) + 1, 0) INTO added FROM trunkline.chunk c WHERE c.topic_id = add_chunk.topic_id;
  EXECUTE format('CREATE TABLE %s_%s (LIKE trunkline.record INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', own, added);
  EXECUTE format('CREATE UNIQUE INDEX record_%s_%s_id_idx ON %s_%s (id)', topic_id, added, own, added);
  EXECUTE format('CREATE INDEX record_%s_%s_xid_idx ON %s_%s (xid)', topic_id, added, own, added);
  EXECUTE format(
    'ALTER TABLE %s ATTACH PARTITION %s_%s FOR VALUES FROM (%s) TO (%s)',
    own, own, added, added::bigint << 40, (added + 1)::bigint << 40);
  INSERT INTO trunkline.chunk (topic_id, number) VALUES (topic_id, added);
  RETURN added;
END
$$;

-- Closes a topic's current chunk: from now on ids come from the next one, which has to be there. Answers whether it did.
-- Waits for nobody: a transaction that has drawn an id before still commits into the chunk it was drawn for.
CREATE OR REPLACE FUNCTION trunkline.close_chunk(topic_id integer, number integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  sequence regclass;
BEGIN
  SELECT t.id_sequence INTO sequence
  FROM trunkline.topic t
  WHERE t.id = close_chunk.topic_id AND t.deleted_at IS NULL
  FOR UPDATE;
  IF sequence IS NULL
    OR coalesce(pg_sequence_last_value(sequence), 0) >> 40 <> number
    OR NOT EXISTS (
      SELECT 1 FROM trunkline.chunk c WHERE c.topic_id = close_chunk.topic_id AND c.number = close_chunk.number + 1)
  THEN
    RETURN false;
  END IF;
  UPDATE trunkline.chunk c
  SET closed_at = clock_timestamp()
  WHERE c.topic_id = close_chunk.topic_id AND c.number = close_chunk.number;
  UPDATE trunkline.chunk c
  SET opened_at = clock_timestamp()
  WHERE c.topic_id = close_chunk.topic_id AND c.number = close_chunk.number + 1;
  PERFORM setval(sequence, (number + 1)::bigint << 40, true);
  RETURN true;
END
$$;

-- A restored log: the xids in its last snapshot are those of another cluster. Appends anew what had no offset when the
-- dump was taken (it keeps its order), so that everything up to the new floor is settled, and begins with a snapshot of
-- this cluster. Which records have offsets is asked of the segments: xids prove nothing here. The lock keeps publishers
-- out for the moment, so that no transaction in flight has an id below the floor.
CREATE OR REPLACE FUNCTION trunkline.rebase_topic(topic_id integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  before pg_snapshot := pg_current_snapshot();
  sequence regclass;
  from_id bigint;
  floor bigint;
  moved bigint;
BEGIN
  SELECT t.id_sequence INTO sequence FROM trunkline.topic t WHERE t.id = rebase_topic.topic_id;
  EXECUTE format('LOCK TABLE trunkline.record_%s IN SHARE ROW EXCLUSIVE MODE', topic_id);
  SELECT s.floor_id INTO from_id
  FROM trunkline.sequencing s
  WHERE s.topic_id = rebase_topic.topic_id
  ORDER BY s.id DESC
  LIMIT 1;
  floor := coalesce(pg_sequence_last_value(sequence), 0);

  WITH sequenced AS MATERIALIZED (
    SELECT u.id
    FROM trunkline.segment s
    CROSS JOIN LATERAL unnest(s.ids) AS u(id)
    WHERE s.topic_id = rebase_topic.topic_id AND s.ids[cardinality(s.ids)] > from_id
  ), homeless AS (
    DELETE FROM trunkline.record r
    WHERE r.topic_id = rebase_topic.topic_id
      AND r.id > from_id
      AND NOT EXISTS (SELECT 1 FROM sequenced WHERE sequenced.id = r.id)
    RETURNING *
  )
  INSERT INTO trunkline.record (xid, topic_id, partition, id, source_at, key, type, content_type, headers, payload)
  SELECT
    pg_current_xact_id(), h.topic_id, h.partition, nextval(sequence), h.source_at, h.key, h.type, h.content_type,
    h.headers, h.payload
  FROM (SELECT * FROM homeless ORDER BY id) h;
  GET DIAGNOSTICS moved = ROW_COUNT;

  -- The snapshot is that of the beginning, before this transaction had an xid: see SequenceStore.
  INSERT INTO trunkline.sequencing (
    topic_id, snapshot, floor_id, next_floor_xid, next_floor_id, cluster, sequenced_at)
  SELECT topic_id, before, floor, pg_current_xact_id(), floor, system_identifier, clock_timestamp()
  FROM pg_control_system();
  RETURN moved;
END
$$;
