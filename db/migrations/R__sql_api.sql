-- The SQL that people, triggers and other languages call. Thin: each function is what the Java side does in one
-- statement. Functions are made anew whenever this file changes.

-- Makes room in a bounded queue: what is ready and has waited for longest becomes dead letters, until so many messages
-- and bytes are out. Answers whether it could; if not, nothing has changed: what is scheduled, or held by others at this
-- moment, makes no room. Locks no more than it takes, run by run, and skips what others have locked. A run gives its
-- bytes back when the last of it is out.
CREATE OR REPLACE FUNCTION trunkline.make_room(queue_id integer, messages bigint, bytes bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  missing bigint := make_room.messages;
  missing_bytes bigint := make_room.bytes;
  lane smallint;
  run record;
  got boolean;
  take integer;
BEGIN
  WHILE missing > 0 OR missing_bytes > 0 LOOP
    got := false;
    FOR lane IN
      SELECT head.priority
      FROM generate_series(0, 9) AS l(priority)
      CROSS JOIN LATERAL (
        SELECT r.priority, r.seq
        FROM trunkline.ready r
        WHERE r.queue_id = make_room.queue_id AND r.priority = l.priority
        ORDER BY r.seq
        LIMIT 1) head
      ORDER BY head.seq
    LOOP
      SELECT r.ctid AS tid, r.* INTO run
      FROM trunkline.ready r
      WHERE r.queue_id = make_room.queue_id AND r.priority = lane
      ORDER BY r.seq
      LIMIT 1
      FOR UPDATE SKIP LOCKED;
      got := FOUND;
      EXIT WHEN got;
    END LOOP;
    IF NOT got THEN
      RAISE EXCEPTION 'no room' USING ERRCODE = 'TKL01';
    END IF;

    take := CASE WHEN missing_bytes > 0 THEN cardinality(run.ids) ELSE least(cardinality(run.ids), missing) END;
    DELETE FROM trunkline.ready r WHERE r.ctid = run.tid;
    IF take < cardinality(run.ids) THEN
      INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, deliveries, acquired, expires_at)
      VALUES (
        run.seq, run.queue_id, run.bytes, run.priority,
        run.ids[take + 1 :], run.deliveries[take + 1 :], run.acquired[take + 1 :], run.expires_at);
    ELSE
      missing_bytes := missing_bytes - run.bytes;
    END IF;
    missing := missing - take;

    WITH gone AS (
      DELETE FROM trunkline.message m
      WHERE m.id = ANY (run.ids[: take])
      RETURNING m.*
    ), buried AS (
      INSERT INTO trunkline.dead_letter (
        message_id, queue, reason, deliveries, acquired, enqueued_at, priority, key, type, content_type, headers, deaths,
        payload, time_to_live)
      SELECT
        g.id, q.name, 'OVERFLOW',
        coalesce(run.deliveries[array_position(run.ids, g.id)], 0),
        coalesce(run.acquired[array_position(run.ids, g.id)], 0),
        g.enqueued_at, g.priority, g.key, g.type, g.content_type, g.headers, g.deaths, g.payload,
        g.time_to_live
      FROM gone g
      JOIN trunkline.queue q ON q.id = make_room.queue_id
      RETURNING 1
    )
    INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, dead)
    SELECT
      make_room.queue_id,
      CASE WHEN take = cardinality(run.ids) THEN -run.bytes ELSE 0 END,
      -take,
      (SELECT count(*) FROM buried);
  END LOOP;
  RETURN true;
EXCEPTION WHEN SQLSTATE 'TKL01' THEN
  RETURN false;
END
$$;

-- Refuses what does not fit into a bounded queue, or makes room for it. Never waits.
CREATE OR REPLACE FUNCTION trunkline.check_bounds(target trunkline.queue, messages bigint, bytes bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  waiting bigint;
  waiting_bytes bigint;
BEGIN
  IF coalesce(target.max_messages, target.max_bytes) IS NULL THEN
    RETURN;
  END IF;
  SELECT coalesce(sum(t.ready::bigint + t.scheduled), 0), coalesce(sum(t.waiting_bytes), 0)
  INTO waiting, waiting_bytes
  FROM trunkline.tally t
  WHERE t.queue_id = target.id;
  IF waiting + messages <= coalesce(target.max_messages, waiting + messages)
    AND waiting_bytes + bytes <= coalesce(target.max_bytes, waiting_bytes + bytes)
  THEN
    RETURN;
  END IF;
  IF target.overflow = 'DROP_OLDEST' AND trunkline.make_room(
    target.id,
    greatest(0, waiting + messages - target.max_messages),
    greatest(0, waiting_bytes + bytes - target.max_bytes))
  THEN
    RETURN;
  END IF;
  RAISE EXCEPTION 'queue "%" is full: % messages of % bytes wait in it', target.name, waiting, waiting_bytes
    USING ERRCODE = 'configuration_limit_exceeded';
END
$$;

-- Sends one message and answers its id. The payload is text (JSON too); for bytes insert through Java.
-- Joins the caller's transaction. Consumers in other processes find it by polling within a second.
-- A message with a deduplication id that is known is not stored: the answer is the id of the first.
DROP FUNCTION IF EXISTS trunkline.send(text, text, text, interval, integer, jsonb, text, text);
CREATE OR REPLACE FUNCTION trunkline.send(
  queue text,
  payload text,
  key text DEFAULT NULL,
  delay interval DEFAULT interval '0',
  priority integer DEFAULT 0,
  headers jsonb DEFAULT NULL,
  type text DEFAULT NULL,
  content_type text DEFAULT 'text/plain',
  deduplication_id text DEFAULT NULL,
  time_to_live interval DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  target trunkline.queue;
  body bytea := convert_to(send.payload, 'UTF8');
  new_id bigint;
  in_scope text := '';
  known_by text := send.deduplication_id;
  key_known boolean := false;
  lives interval;
  expiry timestamptz;
BEGIN
  SELECT * INTO target FROM trunkline.queue q WHERE q.name = send.queue AND q.deleted_at IS NULL;
  IF target.id IS NULL THEN
    RAISE EXCEPTION 'queue "%" does not exist', send.queue USING ERRCODE = 'undefined_object';
  END IF;
  IF body IS NULL THEN
    RAISE EXCEPTION 'payload must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF octet_length(body) > target.max_payload_bytes THEN
    RAISE EXCEPTION 'payload of % bytes is over the limit of queue "%": % bytes',
      octet_length(body), send.queue, target.max_payload_bytes USING ERRCODE = 'program_limit_exceeded';
  END IF;
  IF send.priority IS NULL OR send.priority NOT BETWEEN 0 AND 9 THEN
    RAISE EXCEPTION 'priority must be between 0 and 9: %', send.priority USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF send.delay > interval '3650 days' THEN
    RAISE EXCEPTION 'delay must be at most 3650 days: %', send.delay USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF greatest(char_length(send.key), char_length(send.type), char_length(send.content_type)) > 1000 THEN
    RAISE EXCEPTION 'key, type and content_type must be at most 1000 characters each'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF send.headers IS NOT NULL AND jsonb_typeof(send.headers) <> 'object' THEN
    RAISE EXCEPTION 'headers must be a JSON object: %', send.headers USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF target.ordering IS NOT NULL THEN
    IF send.key IS NULL THEN
      RAISE EXCEPTION 'key must not be null, queue "%" is ordered by it', send.queue
        USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF octet_length(convert_to(send.key, 'UTF8')) > 2000 THEN
      RAISE EXCEPTION 'key must be at most 2000 bytes in UTF-8: %', octet_length(convert_to(send.key, 'UTF8'))
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF send.priority <> 0 THEN
      RAISE EXCEPTION 'priority must be 0, queue "%" is ordered by key: %', send.queue, send.priority
        USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;

  IF send.time_to_live <= interval '0' OR send.time_to_live > interval '3650 days' THEN
    RAISE EXCEPTION 'time_to_live must be more than zero, and at most 3650 days: %', send.time_to_live
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  lives := least(send.time_to_live, target.time_to_live);
  expiry := clock_timestamp() + lives;
  IF send.delay >= lives THEN
    RAISE EXCEPTION 'delay must be shorter than the time to live, %, or the message is never delivered: %',
      lives, send.delay USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF send.deduplication_id IS NOT NULL AND target.dedup_window IS NULL THEN
    RAISE EXCEPTION 'message must not have a deduplication id, queue "%" does not deduplicate: %',
      send.queue, send.deduplication_id USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF char_length(send.deduplication_id) NOT BETWEEN 1 AND 200 THEN
    RAISE EXCEPTION 'deduplication_id must have 1 to 200 characters: %', char_length(send.deduplication_id)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF target.dedup_scope = 'KEY' THEN
    IF send.key IS NULL THEN
      RAISE EXCEPTION 'message must have a key, queue "%" deduplicates by key', send.queue
        USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- The same as Fingerprint.java.
    in_scope := CASE
      WHEN char_length(send.key) > 200 OR send.key LIKE 'sha256:%'
        THEN 'sha256:' || encode(sha256(convert_to(send.key, 'UTF8')), 'hex')
      ELSE send.key
    END;
  END IF;
  IF target.dedup_by_content AND known_by IS NULL THEN
    known_by := 'sha256:' || encode(sha256(
      coalesce(int4send(octet_length(convert_to(send.type, 'UTF8'))) || convert_to(send.type, 'UTF8'), int4send(-1))
      || coalesce(
        int4send(octet_length(convert_to(send.content_type, 'UTF8'))) || convert_to(send.content_type, 'UTF8'),
        int4send(-1))
      || int4send(octet_length(body)) || body), 'hex');
  END IF;

  -- As KeyedPublishStore.JOIN_LINES: whoever relies on a mark locks it, and draws his id when he has seen it.
  IF target.ordering IS NOT NULL
    AND current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') THEN
    PERFORM 1
    FROM trunkline.key_mark m
    WHERE m.queue_id = target.id AND m.key = send.key
    LIMIT 1
    FOR KEY SHARE SKIP LOCKED;
    key_known := FOUND;
  END IF;
  new_id := nextval('trunkline.message_id_seq');
  IF known_by IS NOT NULL AND target.dedup_window IS NOT NULL THEN
    INSERT INTO trunkline.dedup AS d (queue_id, scope, dedup_id, message_id, expires_at)
    VALUES (target.id, in_scope, known_by, new_id, clock_timestamp() + least(target.dedup_window, lives))
    ON CONFLICT ON CONSTRAINT dedup_pkey DO UPDATE
    SET message_id = excluded.message_id, expires_at = excluded.expires_at
    WHERE d.expires_at <= clock_timestamp();
    IF NOT FOUND THEN
      RETURN (
        SELECT d.message_id
        FROM trunkline.dedup d
        WHERE d.queue_id = target.id AND d.scope = in_scope AND d.dedup_id = known_by);
    END IF;
  END IF;
  PERFORM trunkline.check_bounds(target, 1, octet_length(body));
  INSERT INTO trunkline.message (
    id, queue_id, priority, key, type, content_type, headers, payload, expires_at, time_to_live)
  VALUES (
    new_id, target.id, send.priority, send.key, send.type, send.content_type, send.headers, body, expiry,
    send.time_to_live);

  IF send.delay > interval '0' THEN
    INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority, expires_at, key)
    VALUES (
      new_id, clock_timestamp() + send.delay, target.id, octet_length(body), send.priority, expiry,
      CASE WHEN target.ordering IS NOT NULL THEN send.key END);
    INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, scheduled)
    VALUES (target.id, 1, octet_length(body), 1);
  ELSIF target.ordering IS NOT NULL THEN
    INSERT INTO trunkline.line (id, expires_at, queue_id, bytes, key)
    VALUES (new_id, expiry, target.id, octet_length(body), send.key);
    INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, ready)
    VALUES (target.id, 1, octet_length(body), 1);
    IF NOT key_known THEN
      INSERT INTO trunkline.key_mark (first_id, queue_id, key) VALUES (new_id, target.id, send.key);
      INSERT INTO trunkline.turn (seq, queue_id, key) VALUES (new_id, target.id, send.key);
    END IF;
  ELSE
    INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, expires_at)
    VALUES (new_id, target.id, octet_length(body), send.priority, ARRAY[new_id], expiry);
    INSERT INTO trunkline.tally (queue_id, sent, waiting_bytes, ready)
    VALUES (target.id, 1, octet_length(body), 1);
  END IF;
  RETURN new_id;
END
$$;

-- Sends dead letters back to the queue they died in, at most max_letters of them, oldest first: attempts start from
-- zero, the message keeps its id, its time to live begins anew, and the death is added to its history. Where messages
-- wait by key, each has its old place, in front of what was sent after it. Answers how many went back.
-- letter_ids null means all of the queue.
CREATE OR REPLACE FUNCTION trunkline.redrive(
  queue text,
  letter_ids bigint[] DEFAULT NULL,
  max_letters integer DEFAULT 10000
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  target_id integer;
  keyed boolean;
  moved integer;
BEGIN
  SELECT q.id, q.ordering IS NOT NULL INTO target_id, keyed FROM trunkline.queue q WHERE q.name = redrive.queue AND q.deleted_at IS NULL;
  IF target_id IS NULL THEN
    RAISE EXCEPTION 'queue "%" does not exist', redrive.queue USING ERRCODE = 'undefined_object';
  END IF;

  WITH letter AS (
    DELETE FROM trunkline.dead_letter
    WHERE id = ANY (ARRAY(
      SELECT d.id
      FROM trunkline.dead_letter d
      WHERE d.queue = redrive.queue AND (letter_ids IS NULL OR d.id = ANY (letter_ids))
      ORDER BY d.id
      LIMIT max_letters
      FOR UPDATE SKIP LOCKED))
    RETURNING *
  ), stored AS (
    INSERT INTO trunkline.message
      (id, enqueued_at, queue_id, priority, key, type, content_type, headers, deaths, payload, time_to_live, expires_at)
    SELECT
      l.message_id, l.enqueued_at, target_id, l.priority, l.key, l.type, l.content_type, l.headers,
      jsonb_build_array(jsonb_build_object(
        'diedAt', l.died_at,
        'reason', l.reason,
        'detail', l.detail,
        'errorClass', l.error_class,
        'errorMessage', l.error_message,
        'deliveries', l.deliveries,
        'acquired', l.acquired,
        'replayedAt', clock_timestamp())) || coalesce(l.deaths, '[]'),
      l.payload,
      l.time_to_live,
      clock_timestamp() + least(l.time_to_live, q.time_to_live)
    FROM letter l
    JOIN trunkline.queue q ON q.id = target_id
    RETURNING id, priority, octet_length(payload) AS bytes, coalesce(key, '') AS key, expires_at
  ), readied AS (
    INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids, expires_at)
    SELECT nextval('trunkline.message_id_seq'), target_id, s.bytes, s.priority, ARRAY[s.id], s.expires_at
    FROM (SELECT * FROM stored ORDER BY id) s
    WHERE NOT keyed
  ), lined AS (
    INSERT INTO trunkline.line (id, expires_at, queue_id, bytes, key)
    SELECT s.id, s.expires_at, target_id, s.bytes, s.key
    FROM stored s
    WHERE keyed
  ), arrived AS (
    INSERT INTO trunkline.turn (seq, queue_id, key)
    SELECT nextval('trunkline.message_id_seq'), target_id, s.key
    FROM stored s
    WHERE keyed
    GROUP BY s.key
  ), marked AS (
    INSERT INTO trunkline.key_mark (first_id, queue_id, key)
    SELECT min(s.id), target_id, s.key
    FROM stored s
    WHERE keyed
    GROUP BY s.key
  ), counted AS (
    INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, dead)
    SELECT target_id, sum(bytes), count(*), -count(*) FROM stored HAVING count(*) > 0
  )
  SELECT count(*) INTO moved FROM stored;
  RETURN moved;
END
$$;

-- Deletes dead letters for good. Answers how many. letter_ids null means all of the queue.
CREATE OR REPLACE FUNCTION trunkline.purge_dead_letters(queue text, letter_ids bigint[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  purged integer;
BEGIN
  WITH gone AS (
    DELETE FROM trunkline.dead_letter d
    WHERE d.queue = purge_dead_letters.queue AND (letter_ids IS NULL OR d.id = ANY (letter_ids))
    RETURNING 1
  ), counted AS (
    INSERT INTO trunkline.tally (queue_id, dead)
    SELECT q.id, -(SELECT count(*) FROM gone)
    FROM trunkline.queue q
    WHERE q.name = purge_dead_letters.queue AND q.deleted_at IS NULL AND EXISTS (SELECT 1 FROM gone)
  )
  SELECT count(*) INTO purged FROM gone;
  RETURN purged;
END
$$;

-- Lets a parked key of a FIFO queue go on. Answers whether it was parked.
CREATE OR REPLACE FUNCTION trunkline.release_key(queue text, key text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  target_id integer;
BEGIN
  SELECT q.id INTO target_id FROM trunkline.queue q WHERE q.name = release_key.queue AND q.deleted_at IS NULL;
  IF target_id IS NULL THEN
    RAISE EXCEPTION 'queue "%" does not exist', release_key.queue USING ERRCODE = 'undefined_object';
  END IF;
  WITH released AS (
    DELETE FROM trunkline.parked_line p
    WHERE p.queue_id = target_id AND p.key = release_key.key
    RETURNING p.key
  )
  INSERT INTO trunkline.turn (seq, from_id, queue_id, key)
  SELECT nextval('trunkline.message_id_seq'), 0, target_id, released.key
  FROM released;
  RETURN FOUND;
END
$$;

-- MurmurHash2 with the seed of Apache Kafka's default partitioner; the same as Murmur2.java. Unsigned, in 64 bits.
CREATE OR REPLACE FUNCTION trunkline.murmur2(data bytea) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  m CONSTANT bigint := 1540483477;
  mask CONSTANT bigint := 4294967295;
  size integer := octet_length(data);
  whole integer := octet_length(data) & ~3;
  hash bigint := (2538058380::bigint # octet_length(data));
  word bigint;
BEGIN
  FOR i IN 0 .. whole - 1 BY 4 LOOP
    word := get_byte(data, i)
      | (get_byte(data, i + 1) << 8)
      | (get_byte(data, i + 2) << 16)
      | (get_byte(data, i + 3)::bigint << 24);
    word := word * m & mask;
    word := word # (word >> 24);
    word := word * m & mask;
    hash := (hash * m & mask) # word;
  END LOOP;
  IF whole < size THEN
    FOR i IN REVERSE size - 1 .. whole LOOP
      hash := hash # (get_byte(data, i)::bigint << 8 * (i - whole));
    END LOOP;
    hash := hash * m & mask;
  END IF;
  hash := hash # (hash >> 13);
  hash := hash * m & mask;
  RETURN hash # (hash >> 15);
END
$$;

-- The partition that a key belongs to: (murmur2(key in UTF-8) & 0x7fffffff) % partitions, as in Java and Apache Kafka.
CREATE OR REPLACE FUNCTION trunkline.partition_of(key text, partitions integer) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT ((trunkline.murmur2(convert_to($1, 'UTF8')) & 2147483647) % $2)::integer
$$;

-- Refuses a text that is too long for Java, which counts UTF-16 units: a character beyond U+FFFF, 4 bytes in UTF-8,
-- counts twice.
CREATE OR REPLACE FUNCTION trunkline.check_length(name text, value text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  units integer := length(value) + length(regexp_replace(value, '[^\U00010000-\U0010FFFF]', '', 'g'));
BEGIN
  IF units > 1000 THEN
    RAISE EXCEPTION '% must be at most 1000 characters: %', name, units USING ERRCODE = 'invalid_parameter_value';
  END IF;
END
$$;

-- Publishes one record and answers its id; the offset comes with the commit. The payload is text (JSON too); null makes
-- a tombstone, which needs a key. Joins the caller's transaction. Readers find it within a second: it sends no NOTIFY,
-- which would take a lock of the whole cluster until the commit. Without a key any partition will do.
CREATE OR REPLACE FUNCTION trunkline.publish(
  topic text,
  key text,
  payload text,
  headers jsonb DEFAULT NULL,
  type text DEFAULT NULL,
  content_type text DEFAULT 'text/plain',
  source_at timestamptz DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  target trunkline.topic;
  body bytea := convert_to(publish.payload, 'UTF8');
  own_xid xid8;
  record_id bigint;
BEGIN
  SELECT * INTO target FROM trunkline.topic t WHERE t.name = publish.topic AND t.deleted_at IS NULL;
  IF target.id IS NULL THEN
    RAISE EXCEPTION 'topic "%" does not exist', publish.topic USING ERRCODE = 'undefined_object';
  END IF;
  IF publish.key IS NULL AND body IS NULL THEN
    RAISE EXCEPTION 'key of a tombstone must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF publish.key IS NULL AND target.compaction_lag IS NOT NULL THEN
    RAISE EXCEPTION 'message must have a key, topic "%" is compacted', publish.topic
      USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF octet_length(body) > target.max_payload_bytes THEN
    RAISE EXCEPTION 'payload of % bytes is over the limit of topic "%": % bytes',
      octet_length(body), publish.topic, target.max_payload_bytes USING ERRCODE = 'program_limit_exceeded';
  END IF;
  PERFORM trunkline.check_length('key', publish.key);
  IF octet_length(convert_to(publish.key, 'UTF8')) > 2000 THEN
    RAISE EXCEPTION 'key must be at most 2000 bytes in UTF-8: %', octet_length(convert_to(publish.key, 'UTF8'))
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM trunkline.check_length('type', publish.type);
  PERFORM trunkline.check_length('content_type', publish.content_type);
  IF publish.headers IS NOT NULL AND jsonb_typeof(publish.headers) <> 'object' THEN
    RAISE EXCEPTION 'headers must be a JSON object: %', publish.headers USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF publish.source_at NOT BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T00:00:00Z' THEN
    RAISE EXCEPTION 'source_at must be between the years 1 and 9999: %', publish.source_at
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  -- The xid before the id: the sequencing relies on it, see SequenceStore.
  own_xid := pg_current_xact_id();
  -- So that a chunk made since this transaction published last is known: see RecordStore.
  PERFORM pg_relation_is_updatable('trunkline.chunk'::regclass, false);
  INSERT INTO trunkline.record (
    xid, topic_id, partition, id, source_at, key, type, content_type, headers, payload)
  VALUES (
    own_xid,
    target.id,
    coalesce(
      trunkline.partition_of(publish.key, target.partitions),
      floor(random() * target.partitions)::integer),
    nextval(target.id_sequence),
    coalesce(publish.source_at, now()),
    publish.key,
    publish.type,
    CASE WHEN body IS NULL THEN nullif(publish.content_type, 'text/plain') ELSE publish.content_type END,
    nullif(publish.headers, '{}'),
    body)
  RETURNING id INTO record_id;
  RETURN record_id;
END
$$;

-- Reads records of a partition in the order of their offsets, from one on; payloads as a person can read them. What was
-- committed a moment ago has its offset as soon as a process looks: one with a reader at once, others within seconds.
-- Fewer than asked for at the end of the log, and where compaction has removed some.
CREATE OR REPLACE FUNCTION trunkline.records(
  topic text,
  partition integer,
  from_offset bigint DEFAULT NULL,
  max_records integer DEFAULT 100
) RETURNS TABLE (
  "offset" bigint,
  appended_at timestamptz,
  source_at timestamptz,
  key text,
  type text,
  payload text,
  headers jsonb
)
LANGUAGE plpgsql STABLE
-- Offset by offset, whatever the statistics say: a page costs the same wherever it is in the log.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  target trunkline.topic;
  log_start bigint;
  log_end bigint;
  first_offset bigint;
BEGIN
  SELECT * INTO target FROM trunkline.topic t WHERE t.name = records.topic AND t.deleted_at IS NULL;
  IF target.id IS NULL THEN
    RAISE EXCEPTION 'topic "%" does not exist', records.topic USING ERRCODE = 'undefined_object';
  END IF;
  IF records.max_records IS NULL OR records.max_records NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'max_records must be between 1 and 10000: %', records.max_records
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT p.log_start, coalesce((
    SELECT s.base_offset + cardinality(s.ids)
    FROM trunkline.segment s
    WHERE s.topic_id = target.id AND s.partition = p.partition
    ORDER BY s.base_offset DESC
    LIMIT 1), p.log_start)
  INTO log_start, log_end
  FROM trunkline.topic_partition p
  WHERE p.topic_id = target.id AND p.partition = records.partition;
  IF log_start IS NULL THEN
    RAISE EXCEPTION 'partition must be between 0 and %: %', target.partitions - 1, records.partition
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  first_offset := coalesce(records.from_offset, log_start);
  IF first_offset NOT BETWEEN log_start AND log_end THEN
    RAISE EXCEPTION 'offset % is out of range: partition % of topic "%" has the offsets from % up to, not including, %',
      first_offset, records.partition, records.topic, log_start, log_end USING ERRCODE = 'invalid_parameter_value';
  END IF;

  RETURN QUERY
  SELECT
    at.record_offset, at.appended_at, r.source_at, r.key, r.type, trunkline.readable(r.payload), r.headers
  FROM (
    SELECT s.base_offset + u.position - 1 AS record_offset, s.appended_at, u.id
    FROM trunkline.segment s
    CROSS JOIN LATERAL unnest(s.ids) WITH ORDINALITY AS u(id, position)
    WHERE s.topic_id = target.id
      AND s.partition = records.partition
      AND s.base_offset >= coalesce((
        SELECT holder.base_offset
        FROM trunkline.segment holder
        WHERE holder.topic_id = target.id
          AND holder.partition = records.partition
          AND holder.base_offset <= first_offset
        ORDER BY holder.base_offset DESC
        LIMIT 1), 0)
      AND s.base_offset + u.position - 1 >= first_offset
    ORDER BY s.base_offset, u.position
  ) at
  JOIN trunkline.record r ON r.topic_id = target.id AND r.id = at.id
  ORDER BY at.record_offset
  LIMIT records.max_records;
END
$$;
