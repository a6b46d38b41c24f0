-- The SQL that people, triggers and other languages call. Thin: each function is what the Java side does in one
-- statement. Functions are made anew whenever this file changes.

-- Sends one message and answers its id. The payload is text (JSON too); for bytes insert through Java.
-- Joins the caller's transaction. Consumers in other processes find it by polling within a second.
CREATE OR REPLACE FUNCTION trunkline.send(
  queue text,
  payload text,
  key text DEFAULT NULL,
  delay interval DEFAULT interval '0',
  priority integer DEFAULT 0,
  headers jsonb DEFAULT NULL,
  type text DEFAULT NULL,
  content_type text DEFAULT 'text/plain'
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  target trunkline.queue;
  body bytea := convert_to(send.payload, 'UTF8');
  message_id bigint;
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

  INSERT INTO trunkline.message (queue_id, priority, key, type, content_type, headers, payload)
  VALUES (target.id, send.priority, send.key, send.type, send.content_type, send.headers, body)
  RETURNING id INTO message_id;

  IF send.delay > interval '0' THEN
    INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority)
    VALUES (message_id, clock_timestamp() + send.delay, target.id, octet_length(body), send.priority);
    INSERT INTO trunkline.tally (queue_id, sent, scheduled) VALUES (target.id, 1, 1);
  ELSE
    INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids)
    VALUES (message_id, target.id, octet_length(body), send.priority, ARRAY[message_id]);
    INSERT INTO trunkline.tally (queue_id, sent, ready) VALUES (target.id, 1, 1);
  END IF;
  RETURN message_id;
END
$$;

-- Sends dead letters back to the queue they died in, at most max_letters of them, oldest first: attempts start from
-- zero, the message keeps its id, and the death is added to its history. Answers how many went back.
-- letter_ids null means all of the queue.
CREATE OR REPLACE FUNCTION trunkline.redrive(
  queue text,
  letter_ids bigint[] DEFAULT NULL,
  max_letters integer DEFAULT 10000
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
  target_id integer;
  moved integer;
BEGIN
  SELECT q.id INTO target_id FROM trunkline.queue q WHERE q.name = redrive.queue AND q.deleted_at IS NULL;
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
      (id, enqueued_at, queue_id, priority, key, type, content_type, headers, deaths, payload)
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
      l.payload
    FROM letter l
    RETURNING id, priority, octet_length(payload) AS bytes
  ), readied AS (
    INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids)
    SELECT nextval('trunkline.message_id_seq'), target_id, s.bytes, s.priority, ARRAY[s.id]
    FROM (SELECT * FROM stored ORDER BY id) s
    RETURNING seq
  ), counted AS (
    INSERT INTO trunkline.tally (queue_id, ready, dead)
    SELECT target_id, count(*), -count(*) FROM letter HAVING count(*) > 0
  )
  SELECT count(*) INTO moved FROM readied;
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
