-- What an operator reads at 3 a.m. Views only: they hold nothing, and are made anew whenever this file changes.

-- A payload as a person can read it: text when it is text, escaped otherwise. Never fails, whatever the bytes are.
CREATE OR REPLACE FUNCTION trunkline.readable(payload bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN convert_from(payload, 'UTF8');
EXCEPTION WHEN OTHERS THEN
  RETURN encode(payload, 'escape');
END
$$;

DROP VIEW IF EXISTS trunkline.dead_letters;
CREATE VIEW trunkline.dead_letters AS
SELECT
  d.id,
  d.queue,
  d.topic,
  d.group_name AS "group",
  d.died_at,
  d.reason,
  coalesce(d.error_message, d.detail) AS error,
  d.deliveries,
  d.acquired,
  coalesce(jsonb_array_length(d.deaths), 0) AS replays,
  d.key,
  d.type,
  trunkline.readable(d.payload) AS payload,
  d.headers,
  d.enqueued_at,
  d.message_id,
  d.partition,
  d."offset",
  d.appended_at,
  d.content_type,
  d.priority,
  d.detail,
  d.error_class,
  d.error_message,
  d.error_stack,
  d.deaths
FROM trunkline.dead_letter d;

COMMENT ON VIEW trunkline.dead_letters IS
  'Messages of queues and records of topics that were given up, newest last: why, after how many deliveries, and the payload in clear.';

-- Depth and age of every queue. Sums the tally (a few rows per queue) and probes one index entry per priority.
DROP VIEW IF EXISTS trunkline.queues;
CREATE VIEW trunkline.queues AS
SELECT
  q.name AS queue,
  coalesce(t.ready, 0) AS ready,
  coalesce(t.in_flight, 0) AS in_flight,
  coalesce(t.scheduled, 0) AS scheduled,
  coalesce(t.dead, 0) AS dead,
  coalesce(t.sent, 0) AS sent,
  coalesce(t.acked, 0) AS acked,
  now() - (
    SELECT min(m.enqueued_at)
    FROM generate_series(0, 9) AS lane(priority)
    CROSS JOIN LATERAL (
      SELECT r.ids[1] AS id
      FROM trunkline.ready r
      WHERE r.queue_id = q.id AND r.priority = lane.priority
      ORDER BY r.seq
      LIMIT 1) oldest
    CROSS JOIN LATERAL (
      SELECT enqueued_at FROM trunkline.message WHERE message.id = oldest.id OFFSET 0) m
  ) AS oldest_ready_age,
  q.paused,
  q.visibility_timeout,
  q.max_deliveries,
  q.created_at
FROM trunkline.queue q
LEFT JOIN (
  SELECT
    queue_id,
    sum(ready) AS ready,
    sum(in_flight) AS in_flight,
    sum(scheduled) AS scheduled,
    sum(dead) AS dead,
    sum(sent) AS sent,
    sum(acked) AS acked
  FROM trunkline.tally
  GROUP BY queue_id
) t ON t.queue_id = q.id
WHERE q.deleted_at IS NULL;

COMMENT ON VIEW trunkline.queues IS
  'One row per queue: messages in each state, and the age of the oldest that is ready.';

-- Each living message with the state it is in. Walks all of them: for looking, not for metrics.
DROP VIEW IF EXISTS trunkline.messages;
CREATE VIEW trunkline.messages AS
SELECT
  m.id,
  q.name AS queue,
  s.state,
  s.deliveries,
  s.acquired,
  s.until,
  s.consumer_id,
  m.priority,
  m.key,
  m.type,
  trunkline.readable(m.payload) AS payload,
  m.headers,
  m.enqueued_at,
  m.content_type
FROM (
  SELECT u.id, 'ready' AS state, coalesce(u.deliveries, 0) AS deliveries, coalesce(u.acquired, 0) AS acquired,
    NULL::timestamptz AS until, NULL::bigint AS consumer_id
  FROM trunkline.ready r
  CROSS JOIN LATERAL unnest(r.ids, r.deliveries, r.acquired) AS u(id, deliveries, acquired)
  UNION ALL
  SELECT id, 'scheduled', deliveries, acquired, due_at, NULL
  FROM trunkline.scheduled
  UNION ALL
  SELECT u.id, 'in flight', u.deliveries, u.acquired, l.visible_at, l.consumer_id
  FROM trunkline.lease l
  CROSS JOIN LATERAL unnest(l.ids, l.deliveries, l.acquired) AS u(id, deliveries, acquired)
) s
JOIN trunkline.message m ON m.id = s.id
LEFT JOIN trunkline.queue q ON q.id = m.queue_id;

COMMENT ON VIEW trunkline.messages IS
  'Every message that is ready, scheduled or in flight; "until" is when it becomes due, or visible again.';

-- The processes that consume, and how long ago each was heard of.
DROP VIEW IF EXISTS trunkline.consumers;
CREATE VIEW trunkline.consumers AS
SELECT
  c.id,
  c.host,
  c.pid,
  c.started_at,
  clock_timestamp() - (
    SELECT h.beat_at
    FROM trunkline.heartbeat h
    WHERE h.consumer_id = c.id
    ORDER BY h.beat_at DESC
    LIMIT 1) AS silent_for,
  c.heartbeat_timeout,
  (SELECT coalesce(sum(cardinality(l.ids)), 0) FROM trunkline.lease l WHERE l.consumer_id = c.id) AS in_flight
FROM trunkline.consumer c;
