-- The tables that hold the records of topics: made, closed and dropped here and nowhere else. These functions run as the
-- owner of the schema, so that an application's role needs no CREATE. Functions are made anew whenever this file changes.
--
-- Whoever may use the schema may call them, so they decide themselves whether the time has come: what they are called
-- too early for, they do not do.
--
-- No function here makes a publisher wait for longer than its lock_timeout. What it cannot lock in that time it leaves
-- for the next call.

-- Arrays of ids as one, in the order they come.
CREATE OR REPLACE AGGREGATE trunkline.concatenated(bigint[]) (SFUNC = array_cat, STYPE = bigint[]);

-- The tables of a new topic: its part of record, its sequence, and its first two chunks.
-- ATTACH locks the parent against other DDL only; CREATE TABLE ... PARTITION OF would lock it against publishers, too.
CREATE OR REPLACE FUNCTION trunkline.create_topic_storage(topic_id integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  own text := format('trunkline.record_%s', topic_id);
  publisher record;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM trunkline.topic t WHERE t.id = create_topic_storage.topic_id) THEN
    RAISE EXCEPTION 'topic % does not exist', topic_id USING ERRCODE = 'undefined_object';
  END IF;
  -- A number for each statement that publishes, which has the ids from it on: see RecordStore.
  EXECUTE format('CREATE SEQUENCE %s_id_seq AS bigint INCREMENT BY 2048 START WITH 2048', own);
  -- Whoever may publish may draw ids, whether or not the owner has set default privileges.
  FOR publisher IN
    SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS name
    FROM pg_class
    CROSS JOIN LATERAL aclexplode(pg_class.relacl) acl
    WHERE pg_class.oid = 'trunkline.record'::regclass AND acl.privilege_type = 'INSERT' AND acl.grantee <> relowner
  LOOP
    EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s_id_seq TO %s', own, publisher.name);
  END LOOP;
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

-- The next chunk of a topic, empty and ahead of its time; or the newest, if that is ahead. Answers its number.
-- What it may have to wait for (another process at it, a manual VACUUM) publishers do not wait for.
-- The ids of a chunk are a range of 2^40, which no chunk ever fills: it is closed by age or bytes long before.
CREATE OR REPLACE FUNCTION trunkline.add_chunk(topic_id integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '1s' AS $$
DECLARE
  own text := format('trunkline.record_%s', topic_id);
  sequence regclass;
  added integer;
  reader record;
BEGIN
  -- One at a time: two processes would make the same one.
  SELECT t.id_sequence INTO sequence
  FROM trunkline.topic t
  WHERE t.id = add_chunk.topic_id AND t.deleted_at IS NULL
  FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'topic % does not exist', topic_id USING ERRCODE = 'undefined_object';
  END IF;
  SELECT coalesce(max(c.number) + 1, 0) INTO added FROM trunkline.chunk c WHERE c.topic_id = add_chunk.topic_id;
  IF added > (coalesce(pg_sequence_last_value(sequence), 0) >> 40) + 1 THEN
    RETURN added - 1;
  END IF;
  EXECUTE format('CREATE TABLE %s_%s (LIKE trunkline.record INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', own, added);
  -- A chunk only grows: it is analysed when it has doubled, and without what no query looks for. With the defaults
  -- autovacuum took a tenth of the time of a log under load. Nor is it vacuumed because it has grown: that would write
  -- each page once more, whole after a checkpoint, for a visibility map that no reader uses. Dead rows and the age of
  -- xids make it vacuum as always.
  EXECUTE format(
    'ALTER TABLE %s_%s'
    ' ALTER xid SET STATISTICS 0, ALTER headers SET STATISTICS 0, ALTER payload SET STATISTICS 0,'
    ' ALTER followers SET STATISTICS 0, ALTER batch_bytes SET STATISTICS 0,'
    ' SET (autovacuum_analyze_scale_factor = 1, autovacuum_analyze_threshold = 10000,'
    ' autovacuum_vacuum_insert_threshold = -1)',
    own, added);
  EXECUTE format('CREATE UNIQUE INDEX record_%s_%s_id_idx ON %s_%s (id)', topic_id, added, own, added);
  -- One entry per batch: the others are named in the record that stands for it.
  EXECUTE format(
    'CREATE INDEX record_%s_%s_xid_idx ON %s_%s (xid) WHERE followers IS NOT NULL', topic_id, added, own, added);
  -- Readers go to a chunk by its name: whoever may read all records may read these.
  FOR reader IN
    SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS name
    FROM pg_class
    CROSS JOIN LATERAL aclexplode(pg_class.relacl) acl
    WHERE pg_class.oid = 'trunkline.record'::regclass AND acl.privilege_type = 'SELECT' AND acl.grantee <> relowner
  LOOP
    EXECUTE format('GRANT SELECT ON %s_%s TO %s', own, added, reader.name);
  END LOOP;
  EXECUTE format(
    'ALTER TABLE %s ATTACH PARTITION %s_%s FOR VALUES FROM (%s) TO (%s)',
    own, own, added, added::bigint << 40, (added + 1)::bigint << 40);
  INSERT INTO trunkline.chunk (topic_id, number) VALUES (topic_id, added);
  RETURN added;
END
$$;

-- Closes a topic's current chunk: from now on ids come from the next one, which has to be there. Answers whether it did.
-- Waits for nobody: a transaction that has drawn an id before still commits into the chunk it was drawn for.
-- The sequence moves at once, the rows with the commit: what a crash left in between is mended by the next call.
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
    OR coalesce(pg_sequence_last_value(sequence), 0) >> 40 < number
    OR NOT EXISTS (
      SELECT 1 FROM trunkline.chunk c WHERE c.topic_id = close_chunk.topic_id AND c.number = close_chunk.number + 1)
  THEN
    RETURN false;
  END IF;
  IF coalesce(pg_sequence_last_value(sequence), 0) >> 40 = number THEN
    PERFORM setval(sequence, (number + 1)::bigint << 40, true);
  END IF;
  UPDATE trunkline.chunk c
  SET opened_at = clock_timestamp()
  WHERE c.topic_id = close_chunk.topic_id AND c.number = close_chunk.number + 1 AND c.opened_at IS NULL;
  UPDATE trunkline.chunk c
  SET closed_at = clock_timestamp()
  WHERE c.topic_id = close_chunk.topic_id AND c.number = close_chunk.number AND c.closed_at IS NULL;
  RETURN FOUND;
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
  -- Above all blocks of ids that were drawn before: the last number drawn is the beginning of one.
  floor := nextval(sequence);

  WITH sequenced AS MATERIALIZED (
    SELECT u.id
    FROM trunkline.segment s
    CROSS JOIN LATERAL unnest(s.ids) AS u(id)
    WHERE s.topic_id = rebase_topic.topic_id AND s.chunk >= from_id >> 40 AND u.id > from_id
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

-- The bytes of a chunk with its indexes; null if it is gone.
CREATE OR REPLACE FUNCTION trunkline.chunk_bytes(topic_id integer, number integer) RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT pg_total_relation_size(to_regclass(format('trunkline.record_%s_%s', $1, $2)))
$$;

-- The end of a chunk in each partition that it has records of: their last offset and one, and its append time.
-- One step into segment_chunk_idx per partition.
CREATE OR REPLACE FUNCTION trunkline.chunk_ends(topic_id integer, number integer)
RETURNS TABLE (partition integer, log_end bigint, appended_at timestamptz)
LANGUAGE sql STABLE AS $$
  SELECT p.partition, s.base_offset + cardinality(s.ids), s.appended_at
  FROM trunkline.topic_partition p
  CROSS JOIN LATERAL (
    SELECT segment.base_offset, segment.ids, segment.appended_at
    FROM trunkline.segment
    WHERE segment.topic_id = $1 AND segment.chunk = $2 AND segment.partition = p.partition
    ORDER BY segment.base_offset DESC
    LIMIT 1) s
  WHERE p.topic_id = $1
$$;

-- The lowest offset, from one on, that a shared group has claimed or keeps waiting in a partition; null if there is none,
-- and for every other group. Dead letters on their way back do not count: they have copies of their own.
-- One step into shared_waiting_offset_idx, and all leases there are: as many as claims are being worked on.
CREATE OR REPLACE FUNCTION trunkline.lowest_in_hand(group_id integer, partition integer, from_offset bigint)
RETURNS bigint
LANGUAGE sql STABLE AS $$
  SELECT least(
    (
      SELECT min(u."offset")
      FROM trunkline.shared_lease l
      CROSS JOIN LATERAL unnest(l.offsets) AS u("offset")
      WHERE l.group_id = $1 AND l.partition = $2 AND l.redelivery_id IS NULL AND u."offset" >= $3),
    (
      SELECT min(w."offset")
      FROM trunkline.shared_waiting w
      WHERE w.group_id = $1 AND w.partition = $2 AND w.redelivery_id IS NULL AND w."offset" >= $3))
$$;

-- What groups would lose if a chunk went: per group and partition, the offsets from the first that it still needs up to
-- the end of the chunk. A partition that a group has not committed in yet it needs from the beginning. A shared group
-- needs what it has claimed and not settled, and what it keeps waiting, too: of the offsets told, it may have settled
-- some.
CREATE OR REPLACE FUNCTION trunkline.unread_in_chunk(topic_id integer, number integer)
RETURNS TABLE (group_name text, partition integer, from_offset bigint, to_offset bigint)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT g.name, e.partition, need.first_offset, e.log_end
  FROM trunkline.consumer_group g
  CROSS JOIN trunkline.chunk_ends(unread_in_chunk.topic_id, unread_in_chunk.number) e
  JOIN trunkline.topic_partition p ON p.topic_id = unread_in_chunk.topic_id AND p.partition = e.partition
  CROSS JOIN LATERAL (
    SELECT greatest(p.log_start, least(
      coalesce((
        SELECT c.committed
        FROM trunkline.group_commit c
        WHERE c.group_id = g.id AND c.partition = e.partition
        ORDER BY c.id DESC
        LIMIT 1), 0),
      CASE WHEN g.kind = 'SHARED' THEN trunkline.lowest_in_hand(g.id, e.partition, p.log_start) END)) AS first_offset
    ) need
  WHERE g.topic_id = unread_in_chunk.topic_id AND need.first_offset < e.log_end
  ORDER BY g.name, e.partition;
END
$$;

-- Whether the retention of the topic allows for a chunk to go, the oldest that is left. The log then begins where the
-- chunk ends, and that end may lie beyond the beginning of later chunks: a transaction that was open for long has its
-- records in an old chunk, at late offsets.
--   By age: all of the chunk must be past it, late records included; what lies before them in the log is older still.
--   By bytes: what can still be read afterwards must be as much as is to be kept. Of a later chunk that would then begin
--   in the middle, the part that is left counts.
CREATE OR REPLACE FUNCTION trunkline.is_past_retention(topic_id integer, number integer) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  target trunkline.topic;
  closed timestamptz;
  total bigint;
  past boolean;
BEGIN
  SELECT * INTO target FROM trunkline.topic t WHERE t.id = is_past_retention.topic_id AND t.deleted_at IS NULL;
  SELECT c.closed_at INTO closed
  FROM trunkline.chunk c
  WHERE c.topic_id = is_past_retention.topic_id AND c.number = is_past_retention.number AND c.emptied_at IS NULL;
  IF target.id IS NULL OR closed IS NULL THEN
    RETURN false;
  END IF;

  past := closed < clock_timestamp() - target.retention_age AND NOT EXISTS (
    SELECT FROM trunkline.chunk_ends(is_past_retention.topic_id, is_past_retention.number) e
    WHERE e.appended_at >= clock_timestamp() - target.retention_age);

  IF past IS NOT TRUE AND target.retention_bytes IS NULL THEN
    RETURN false;
  END IF;
  SELECT coalesce(sum(trunkline.chunk_bytes(c.topic_id, c.number)), 0) INTO total
  FROM trunkline.chunk c
  WHERE c.topic_id = is_past_retention.topic_id AND c.emptied_at IS NULL;

  IF past IS NOT TRUE THEN
    IF total - trunkline.chunk_bytes(is_past_retention.topic_id, is_past_retention.number) < target.retention_bytes THEN
      RETURN false;
    END IF;
    SELECT sum(trunkline.chunk_bytes(left_over.topic_id, left_over.number) * left_over.share) >= target.retention_bytes
    INTO past
    FROM (
      SELECT c.topic_id, c.number, coalesce((
        SELECT
          sum(greatest(later.log_end - greatest(first.base_offset, e.log_end), 0))::numeric
            / sum(later.log_end - first.base_offset)
        FROM trunkline.chunk_ends(c.topic_id, c.number) later
        CROSS JOIN LATERAL (
          SELECT s.base_offset
          FROM trunkline.segment s
          WHERE s.topic_id = c.topic_id AND s.chunk = c.number AND s.partition = later.partition
          ORDER BY s.base_offset
          LIMIT 1) first
        LEFT JOIN trunkline.chunk_ends(is_past_retention.topic_id, is_past_retention.number) e
          ON e.partition = later.partition), 1) AS share
      FROM trunkline.chunk c
      WHERE c.topic_id = is_past_retention.topic_id AND c.emptied_at IS NULL AND c.number > is_past_retention.number
    ) left_over;
  END IF;

  RETURN coalesce(past, false) AND (
    target.slow_groups = 'DROP'
    OR (target.slow_groups = 'HOLD_UP_TO' AND total > target.slow_groups_cap_bytes)
    OR NOT EXISTS (
      SELECT FROM trunkline.unread_in_chunk(is_past_retention.topic_id, is_past_retention.number)));
END
$$;

-- Empties the oldest chunk of a topic, if retention allows it: its records are gone and their disk is free, the log
-- begins after them, and the table, empty, is left for drop_chunk. Answers nothing if it did nothing; else a row with
-- the number of the chunk, and one for each group and partition that has lost something by it.
--
-- Locks the chunk, not its parents: publishers are in later chunks. Whoever has written into the chunk and is still open
-- holds a lock on it, so that afterwards all it has is committed or gone for good; a snapshot taken then sees it, and
-- what that snapshot sees and the last step of the sequencing did not has no offset yet. Then the chunk stays, for now.
-- The topic's lock keeps the sequencing from taking a step in between.
CREATE OR REPLACE FUNCTION trunkline.empty_chunk(topic_id integer)
RETURNS TABLE (emptied integer, group_name text, partition integer, from_offset bigint, to_offset bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
#variable_conflict use_column
DECLARE
  oldest integer;
  own text;
  last trunkline.sequencing;
  has_news boolean;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'empty_chunk must run at READ COMMITTED: it looks again after it has locked'
      USING ERRCODE = 'invalid_transaction_state';
  END IF;
  SELECT min(c.number) INTO oldest
  FROM trunkline.chunk c
  WHERE c.topic_id = empty_chunk.topic_id AND c.emptied_at IS NULL;
  IF oldest IS NULL OR NOT trunkline.is_past_retention(empty_chunk.topic_id, oldest) THEN
    RETURN;
  END IF;
  own := format('trunkline.record_%s_%s', empty_chunk.topic_id, oldest);
  BEGIN
    -- As SequenceStore.LOCK has it.
    PERFORM pg_advisory_xact_lock(1416776814, empty_chunk.topic_id);
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', own);
  EXCEPTION WHEN lock_not_available OR undefined_table THEN
    RETURN;
  END;

  -- Another process may have done it, late records may have been given offsets in the meantime.
  IF NOT trunkline.is_past_retention(empty_chunk.topic_id, oldest) THEN
    RETURN;
  END IF;
  SELECT * INTO last
  FROM trunkline.sequencing s
  WHERE s.topic_id = empty_chunk.topic_id
  ORDER BY s.id DESC
  LIMIT 1;
  -- In a log that was restored from a dump xids say nothing, until the next step has found that out.
  IF last.cluster <> (SELECT system_identifier FROM pg_control_system())
    OR pg_snapshot_xmax(last.snapshot) > pg_snapshot_xmax(pg_current_snapshot())
  THEN
    RETURN;
  END IF;
  -- The records of a batch are all in one chunk.
  EXECUTE format('SELECT EXISTS (SELECT FROM %1$s WHERE followers IS NOT NULL AND xid >= $1 AND id > $3)
    OR EXISTS (SELECT FROM %1$s WHERE followers IS NOT NULL AND xid = ANY ($2) AND id > $3)', own)
  INTO has_news
  USING pg_snapshot_xmax(last.snapshot), ARRAY(SELECT pg_snapshot_xip(last.snapshot)), last.floor_id;
  IF has_news THEN
    RETURN;
  END IF;

  RETURN QUERY SELECT oldest, NULL::text, NULL::integer, NULL::bigint, NULL::bigint;
  RETURN QUERY
  SELECT oldest, u.group_name, u.partition, u.from_offset, u.to_offset
  FROM trunkline.unread_in_chunk(empty_chunk.topic_id, oldest) u;
  UPDATE trunkline.topic_partition p
  SET log_start = e.log_end
  FROM trunkline.chunk_ends(empty_chunk.topic_id, oldest) e
  WHERE p.topic_id = empty_chunk.topic_id AND p.partition = e.partition AND p.log_start < e.log_end;
  UPDATE trunkline.chunk c
  SET emptied_at = clock_timestamp()
  WHERE c.topic_id = empty_chunk.topic_id AND c.number = oldest;
  EXECUTE format('TRUNCATE %s', own);
END
$$;

-- Drops the table of the oldest chunk that has been emptied. Answers whether it did.
-- It locks the topic's parent table, so it waits for publishers of this topic that are open, and others behind it: for
-- no longer than the timeout. Not before everybody who has drawn an id of the chunk has ended, as the floor of the
-- sequencing tells: there would be no table for it. What such a one has committed since keeps the chunk alive.
CREATE OR REPLACE FUNCTION trunkline.drop_chunk(topic_id integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
DECLARE
  parent text := format('trunkline.record_%s', topic_id);
  own text;
  oldest integer;
  floor bigint;
  has_records boolean;
BEGIN
  SELECT min(c.number) INTO oldest
  FROM trunkline.chunk c
  WHERE c.topic_id = drop_chunk.topic_id AND c.emptied_at IS NOT NULL;
  SELECT s.floor_id INTO floor
  FROM trunkline.sequencing s
  WHERE s.topic_id = drop_chunk.topic_id
  ORDER BY s.id DESC
  LIMIT 1;
  IF oldest IS NULL OR floor < (oldest + 1)::bigint << 40 THEN
    RETURN false;
  END IF;
  own := format('%s_%s', parent, oldest);
  BEGIN
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', parent);
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', own);
  EXCEPTION WHEN lock_not_available OR undefined_table THEN
    RETURN false;
  END;
  EXECUTE format('SELECT EXISTS (SELECT FROM %s)', own) INTO has_records;
  IF has_records THEN
    UPDATE trunkline.chunk c
    SET emptied_at = NULL
    WHERE c.topic_id = drop_chunk.topic_id AND c.number = oldest;
    RETURN false;
  END IF;
  EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, own);
  EXECUTE format('DROP TABLE %s', own);
  DELETE FROM trunkline.chunk c WHERE c.topic_id = drop_chunk.topic_id AND c.number = oldest;
  RETURN true;
END
$$;

-- Drops the tables and the sequence of a topic that has been deleted: first the chunks, whose lock concerns this topic
-- only, then the rest, for which the publishers of all topics may have to wait, no longer than the timeout. Answers
-- whether nothing is left of them.
CREATE OR REPLACE FUNCTION trunkline.drop_topic_storage(topic_id integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
DECLARE
  own text := format('trunkline.record_%s', topic_id);
  dropped integer;
BEGIN
  PERFORM FROM trunkline.topic t
  WHERE t.id = drop_topic_storage.topic_id AND t.deleted_at IS NOT NULL
  FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  BEGIN
    PERFORM pg_advisory_xact_lock(1416776814, drop_topic_storage.topic_id);
    IF to_regclass(own) IS NOT NULL THEN
      EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', own);
    END IF;
    -- So many at a time: each takes locks, of which a server has a fixed number.
    FOR dropped IN
      SELECT c.number FROM trunkline.chunk c WHERE c.topic_id = drop_topic_storage.topic_id ORDER BY c.number LIMIT 20
    LOOP
      EXECUTE format('DROP TABLE IF EXISTS %s_%s', own, dropped);
      DELETE FROM trunkline.chunk c
      WHERE c.topic_id = drop_topic_storage.topic_id AND c.number = dropped;
    END LOOP;
  EXCEPTION WHEN lock_not_available THEN
    RETURN false;
  END;
  IF EXISTS (SELECT FROM trunkline.chunk c WHERE c.topic_id = drop_topic_storage.topic_id) THEN
    RETURN false;
  END IF;
  BEGIN
    LOCK TABLE ONLY trunkline.record IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('DROP TABLE IF EXISTS %s', own);
  EXCEPTION WHEN lock_not_available THEN
    RETURN false;
  END;
  UPDATE trunkline.topic t SET id_sequence = NULL WHERE t.id = drop_topic_storage.topic_id;
  EXECUTE format('DROP SEQUENCE IF EXISTS %s_id_seq', own);
  RETURN true;
END
$$;
