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
  coalesce(t.expired, 0) AS expired,
  coalesce(t.waiting_bytes, 0) AS waiting_bytes,
  now() - coalesce((
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
  ), (
    SELECT min(m.enqueued_at)
    FROM (
      SELECT turn.key
      FROM trunkline.turn
      WHERE turn.queue_id = q.id
      ORDER BY turn.seq
      LIMIT 10) turn
    CROSS JOIN LATERAL (
      SELECT line.id
      FROM trunkline.line
      WHERE line.queue_id = q.id AND line.key = turn.key
      ORDER BY line.id
      LIMIT 1) oldest
    CROSS JOIN LATERAL (
      SELECT enqueued_at FROM trunkline.message WHERE message.id = oldest.id OFFSET 0) m
  )) AS oldest_ready_age,
  q.paused,
  q.visibility_timeout,
  q.max_deliveries,
  q.dedup_window,
  q.time_to_live,
  q.max_messages,
  q.max_bytes,
  q.overflow,
  q.created_at,
  q.ordering
FROM trunkline.queue q
LEFT JOIN (
  SELECT
    queue_id,
    sum(ready) AS ready,
    sum(in_flight) AS in_flight,
    sum(scheduled) AS scheduled,
    sum(dead) AS dead,
    sum(sent) AS sent,
    sum(acked) AS acked,
    sum(expired) AS expired,
    sum(waiting_bytes) AS waiting_bytes
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
  m.content_type,
  m.expires_at
FROM (
  SELECT u.id, 'ready' AS state, coalesce(u.deliveries, 0) AS deliveries, coalesce(u.acquired, 0) AS acquired,
    NULL::timestamptz AS until, NULL::bigint AS consumer_id
  FROM trunkline.ready r
  CROSS JOIN LATERAL unnest(r.ids, r.deliveries, r.acquired) AS u(id, deliveries, acquired)
  UNION ALL
  SELECT id, 'ready', deliveries, acquired, due_at, NULL
  FROM trunkline.line
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

-- Keys of FIFO queues that wait for an operator, and what for.
DROP VIEW IF EXISTS trunkline.parked_keys;
CREATE VIEW trunkline.parked_keys AS
SELECT
  q.name AS queue,
  p.key,
  p.parked_at,
  p.message_id,
  (SELECT min(d.id) FROM trunkline.dead_letter d WHERE d.message_id = p.message_id) AS dead_letter_id,
  (SELECT count(*) FROM trunkline.line l WHERE l.queue_id = p.queue_id AND l.key = p.key) AS waiting
FROM trunkline.parked_line p
JOIN trunkline.queue q ON q.id = p.queue_id AND q.deleted_at IS NULL;

COMMENT ON VIEW trunkline.parked_keys IS
  'Keys that wait behind a dead letter, until trunkline.release_key(queue, key).';

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

-- Who consumes from queues that are for one consumer at a time. The place is free where consumer_id is null.
DROP VIEW IF EXISTS trunkline.active_consumers;
CREATE VIEW trunkline.active_consumers AS
SELECT
  q.name AS queue,
  active.epoch,
  active.activated_at,
  active.consumer_id,
  active.host,
  active.pid,
  (
    SELECT count(*)
    FROM trunkline.candidate c
    JOIN trunkline.consumer p ON p.id = c.consumer_id
    WHERE c.queue_id = q.id) AS candidates
FROM trunkline.queue q
LEFT JOIN LATERAL (
  SELECT newest.epoch, newest.activated_at, p.id AS consumer_id, p.host, p.pid
  FROM (
    SELECT a.epoch, a.activated_at, a.candidate_id
    FROM trunkline.activation a
    WHERE a.queue_id = q.id
    ORDER BY a.epoch DESC
    LIMIT 1) newest
  LEFT JOIN trunkline.candidate c ON c.id = newest.candidate_id
  LEFT JOIN trunkline.consumer p ON p.id = c.consumer_id) active ON true
WHERE q.single_active AND q.deleted_at IS NULL;

COMMENT ON VIEW trunkline.active_consumers IS
  'One row per queue for a single active consumer: which process has it, since when, and how many would take over.';

-- The partitions of every topic. A few steps into indexes for each.
DROP VIEW IF EXISTS trunkline.topics;
DROP VIEW IF EXISTS trunkline.topic_partitions;
CREATE VIEW trunkline.topic_partitions AS
SELECT
  t.name AS topic,
  p.partition,
  p.log_start,
  coalesce(last.log_end, p.log_start) AS log_end,
  greatest(coalesce(last.log_end, p.log_start) - p.log_start, 0) AS records,
  oldest.appended_at AS oldest_append,
  CASE WHEN last.log_end > p.log_start THEN last.appended_at END AS newest_append
FROM trunkline.topic t
JOIN trunkline.topic_partition p ON p.topic_id = t.id
LEFT JOIN LATERAL (
  SELECT s.base_offset + cardinality(s.ids) AS log_end, s.appended_at
  FROM trunkline.segment s
  WHERE s.topic_id = t.id AND s.partition = p.partition
  ORDER BY s.base_offset DESC
  LIMIT 1) last ON true
LEFT JOIN LATERAL (
  SELECT s.appended_at
  FROM trunkline.segment s
  WHERE s.topic_id = t.id AND s.partition = p.partition AND s.base_offset >= p.log_start
  ORDER BY s.base_offset
  LIMIT 1) oldest ON true
WHERE t.deleted_at IS NULL;

COMMENT ON VIEW trunkline.topic_partitions IS
  'One row per partition: where its log begins and ends, and when its oldest and newest records were appended. What compaction has removed is counted among the records.';

-- Every topic with its size on disk. chunks are its tables: those with records, and the one or two ahead.
CREATE VIEW trunkline.topics AS
SELECT
  t.name AS topic,
  t.partitions,
  p.records,
  c.bytes,
  c.chunks,
  p.oldest_append,
  p.newest_append,
  t.retention_age,
  t.retention_bytes,
  t.slow_groups,
  t.compaction_lag IS NOT NULL AS compacted,
  t.created_at
FROM trunkline.topic t
CROSS JOIN LATERAL (
  SELECT
    coalesce(sum(tp.records), 0)::bigint AS records,
    min(tp.oldest_append) AS oldest_append,
    max(tp.newest_append) AS newest_append
  FROM trunkline.topic_partitions tp
  WHERE tp.topic = t.name) p
CROSS JOIN LATERAL (
  SELECT
    coalesce(sum(
      pg_total_relation_size(to_regclass(format('trunkline.record_%s_%s', c.topic_id, c.number)))), 0)::bigint AS bytes,
    count(*) AS chunks
  FROM trunkline.chunk c
  WHERE c.topic_id = t.id) c
WHERE t.deleted_at IS NULL;

COMMENT ON VIEW trunkline.topics IS
  'One row per topic: partitions, records (log end - log start), bytes on disk with indexes, and the ages of its ends.';

-- Whoever has kept vacuum from removing dead rows, or retention from dropping old chunks, for longer than a second.
-- Other users' queries are seen by superusers and members of pg_read_all_stats only; without that right their
-- transactions are missing here.
DROP VIEW IF EXISTS trunkline.stalls;
CREATE VIEW trunkline.stalls AS
WITH due AS (
  -- Tables that are to go, or soon.
  SELECT
    to_regclass(format('trunkline.record_%s_%s', c.topic_id, c.number))::oid AS relation,
    CASE WHEN t.deleted_at IS NULL THEN 'retention of topic ' ELSE 'removal of topic ' END || t.name AS what
  FROM trunkline.chunk c
  JOIN trunkline.topic t ON t.id = c.topic_id
  WHERE t.deleted_at IS NOT NULL
    OR (c.emptied_at IS NULL
      AND (c.closed_at < clock_timestamp() - t.retention_age
        OR (c.closed_at IS NOT NULL AND t.retention_bytes IS NOT NULL)))
), locked AS (
  SELECT l.pid, l.virtualtransaction, string_agg(DISTINCT due.what, ', ') AS what
  FROM pg_locks l
  JOIN due ON due.relation = l.relation
  WHERE l.locktype = 'relation'
    AND l.granted
    AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
  GROUP BY l.pid, l.virtualtransaction
)
SELECT
  'transaction' AS kind,
  a.pid,
  NULL::text AS name,
  clock_timestamp() - a.xact_start AS age,
  a.state,
  a.query,
  concat_ws(', ', CASE WHEN coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL THEN 'vacuum' END, l.what) AS holds_back,
  age(coalesce(a.backend_xmin, a.backend_xid)) AS xids_behind,
  a.usename AS owner,
  a.application_name,
  a.client_addr
FROM pg_stat_activity a
LEFT JOIN locked l ON l.pid = a.pid
WHERE a.pid <> pg_backend_pid()
  AND (a.datname = current_database() OR a.datname IS NULL)
  AND a.backend_type NOT LIKE 'autovacuum%'
  AND a.xact_start < clock_timestamp() - interval '1 second'
  AND (coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL OR l.what IS NOT NULL)
UNION ALL
SELECT
  'prepared transaction',
  NULL,
  p.gid,
  clock_timestamp() - p.prepared,
  'prepared',
  NULL,
  concat_ws(', ', 'vacuum', l.what),
  age(p.transaction),
  p.owner,
  NULL,
  NULL
FROM pg_prepared_xacts p
LEFT JOIN pg_locks own ON own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.granted
LEFT JOIN locked l ON l.pid IS NULL AND l.virtualtransaction = own.virtualtransaction
WHERE p.database = current_database()
UNION ALL
-- PostgreSQL does not tell how old a slot's horizon is; xids_behind says how far it is behind.
SELECT
  'replication slot',
  s.active_pid,
  s.slot_name,
  NULL,
  CASE WHEN s.active THEN 'active' ELSE 'inactive' END,
  NULL,
  concat_ws(
    ', ',
    CASE WHEN s.xmin IS NOT NULL THEN 'vacuum' END,
    CASE WHEN s.catalog_xmin IS NOT NULL THEN 'vacuum of system catalogs' END,
    CASE WHEN NOT s.active AND s.restart_lsn IS NOT NULL THEN 'WAL' END),
  greatest(age(s.xmin), age(s.catalog_xmin)),
  NULL,
  NULL,
  NULL
FROM pg_replication_slots s
WHERE s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL OR (NOT s.active AND s.restart_lsn IS NOT NULL);

COMMENT ON VIEW trunkline.stalls IS
  'Open transactions (pid), prepared ones and replication slots (name) that hold back vacuum or the retention of a topic, how old they are and what they run. Nothing here delays publishing or reading.';

-- How far each group is behind in each partition: in records, and in time, which is the age of the oldest record that it
-- has not done with; zero if there is none. Never null. A few steps into indexes for each; for a shared group also all
-- that it has claimed or keeps waiting, which counts: in_flight and waiting say how much of the lag that is.
DROP VIEW IF EXISTS trunkline.groups;
DROP VIEW IF EXISTS trunkline.group_lag;
CREATE VIEW trunkline.group_lag AS
SELECT
  t.name AS topic,
  g.name AS "group",
  g.kind,
  p.partition,
  at.committed,
  log.log_end,
  greatest(log.log_end - at.committed, 0) + in_flight.records + waiting.records AS lag,
  in_flight.records AS in_flight,
  waiting.records AS waiting,
  CASE
    WHEN oldest."offset" < log.log_end THEN greatest(clock_timestamp() - coalesce((
      SELECT s.appended_at
      FROM trunkline.segment s
      WHERE s.topic_id = g.topic_id AND s.partition = p.partition AND s.base_offset <= oldest."offset"
      ORDER BY s.base_offset DESC
      LIMIT 1), clock_timestamp()), interval '0')
    ELSE interval '0'
  END AS lag_time,
  coalesce(gp.epoch, 0) AS epoch,
  m.id AS member_id,
  m.host AS member_host,
  m.pid AS member_pid,
  m.instance_id AS member_instance
FROM trunkline.consumer_group g
JOIN trunkline.topic t ON t.id = g.topic_id AND t.deleted_at IS NULL
JOIN trunkline.topic_partition p ON p.topic_id = g.topic_id
CROSS JOIN LATERAL (
  SELECT coalesce((
    SELECT s.base_offset + cardinality(s.ids)
    FROM trunkline.segment s
    WHERE s.topic_id = g.topic_id AND s.partition = p.partition
    ORDER BY s.base_offset DESC
    LIMIT 1), p.log_start) AS log_end) log
CROSS JOIN LATERAL (
  -- Records that were dropped are no lag any more; a partition without a commit is new to the group.
  SELECT greatest(p.log_start, coalesce((
    SELECT c.committed
    FROM trunkline.group_commit c
    WHERE c.group_id = g.id AND c.partition = p.partition
    ORDER BY c.id DESC
    LIMIT 1), p.log_start)) AS committed) at
CROSS JOIN LATERAL (
  SELECT
    coalesce(sum(cardinality(l.ids)), 0)::bigint AS records,
    min((SELECT min(u."offset") FROM unnest(l.offsets) AS u("offset") WHERE u."offset" >= p.log_start))
      FILTER (WHERE l.redelivery_id IS NULL) AS oldest
  FROM trunkline.shared_lease l
  WHERE g.kind = 'SHARED' AND l.group_id = g.id AND l.partition = p.partition) in_flight
CROSS JOIN LATERAL (
  SELECT
    count(*) AS records,
    min(w."offset") FILTER (WHERE w.redelivery_id IS NULL AND w."offset" >= p.log_start) AS oldest
  FROM trunkline.shared_waiting w
  WHERE g.kind = 'SHARED' AND w.group_id = g.id AND w.partition = p.partition) waiting
CROSS JOIN LATERAL (SELECT least(at.committed, in_flight.oldest, waiting.oldest) AS "offset") oldest
LEFT JOIN trunkline.group_partition gp ON gp.group_id = g.id AND gp.partition = p.partition
LEFT JOIN trunkline.group_member m ON m.id = gp.member_id;

COMMENT ON VIEW trunkline.group_lag IS
  'One row per group and partition: its position, its lag in records and in time, and which member has the partition. Of a shared group nobody has it, and the lag includes what is in flight and what waits.';

-- Every group: who works for it, how far it is behind as a whole, and what it has given up. As dear as its rows in
-- group_lag.
CREATE VIEW trunkline.groups AS
SELECT
  t.name AS topic,
  g.name AS "group",
  g.kind,
  member.members,
  lag.partitions - lag.owned AS free_partitions,
  lag.lag,
  lag.lag_time,
  (SELECT count(*) FROM trunkline.dead_letter d WHERE d.topic = t.name AND d.group_name = g.name) AS dead,
  (SELECT count(*) FROM trunkline.parked_key p WHERE p.group_id = g.id) AS parked_keys,
  g.failure_policy,
  g.max_deliveries,
  g.session_timeout,
  g.paused,
  g.created_at
FROM trunkline.consumer_group g
JOIN trunkline.topic t ON t.id = g.topic_id AND t.deleted_at IS NULL
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE NOT m.away) AS members
  FROM trunkline.group_member m
  WHERE m.group_id = g.id) member
CROSS JOIN LATERAL (
  SELECT
    count(*) AS partitions,
    CASE WHEN g.kind = 'SHARED' THEN count(*) ELSE count(l.member_id) END AS owned,
    sum(l.lag)::bigint AS lag,
    max(l.lag_time) AS lag_time
  FROM trunkline.group_lag l
  WHERE l.topic = t.name AND l."group" = g.name) lag;

COMMENT ON VIEW trunkline.groups IS
  'One row per group: how many members it has, how many partitions nobody of them has, its lag over all partitions, its dead letters and parked keys, and whether it is paused, as only a shared one can be.';
