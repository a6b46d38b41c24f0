package dev.trunkline.support;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * What is true of the tables whenever no statement of the library is half-way: the rules, in SQL.
 */
final class Invariants {
  /** Each query returns one line of text per broken rule, and no line when all is well. */
  private static final List<String> QUERIES =
      List.of(
          // Every message stands in exactly one state, and every state speaks of a message that is
          // there.
          """
          WITH place AS (
            SELECT unnest(ids) AS id, 'ready' AS state FROM trunkline.ready
            UNION ALL
            SELECT id, 'scheduled' FROM trunkline.scheduled
            UNION ALL
            SELECT id, 'line' FROM trunkline.line
            UNION ALL
            SELECT unnest(ids), 'lease ' || id FROM trunkline.lease
          ), places AS (
            SELECT id, count(*) AS times, string_agg(state, ', ' ORDER BY state) AS states
            FROM place
            GROUP BY id
          )
          SELECT CASE
              WHEN p.id IS NULL THEN format('message %s is in no state', m.id)
              WHEN m.id IS NULL THEN format('%s holds message %s, which is gone', p.states, p.id)
              ELSE format('message %s is in %s states: %s', m.id, p.times, p.states)
            END
          FROM trunkline.message m
          FULL JOIN places p ON p.id = m.id
          WHERE m.id IS NULL OR p.id IS NULL OR p.times <> 1
          ORDER BY coalesce(m.id, p.id)
          LIMIT 20
          """,
          // A message and its place agree about the queue and the priority.
          """
          WITH place AS (
            SELECT unnest(ids) AS id, queue_id, priority, 'ready' AS state FROM trunkline.ready
            UNION ALL
            SELECT id, queue_id, priority, 'scheduled' FROM trunkline.scheduled
            UNION ALL
            SELECT unnest(ids), queue_id, NULL::smallint, 'lease ' || id FROM trunkline.lease
            UNION ALL
            SELECT id, queue_id, NULL, 'line' FROM trunkline.line
          )
          SELECT format(
              'message %s of queue %s, priority %s, is in %s of queue %s, priority %s',
              m.id, m.queue_id, m.priority, p.state, p.queue_id, p.priority)
          FROM trunkline.message m
          JOIN place p USING (id)
          WHERE m.queue_id <> p.queue_id OR m.priority <> p.priority
          ORDER BY m.id
          LIMIT 20
          """,
          // What is dead is not alive.
          """
          SELECT format('message %s is alive and in dead letter %s', d.message_id, d.id)
          FROM trunkline.dead_letter d
          JOIN trunkline.message m ON m.id = d.message_id
          ORDER BY d.id
          LIMIT 20
          """,
          // A lease has a holder.
          """
          SELECT format('lease %s is held by consumer %s, which is gone', l.id, l.consumer_id)
          FROM trunkline.lease l
          WHERE NOT EXISTS (SELECT FROM trunkline.consumer c WHERE c.id = l.consumer_id)
          ORDER BY l.id
          LIMIT 20
          """,
          // Every message belongs to a queue.
          """
          SELECT format('message %s is of queue %s, which is gone', m.id, m.queue_id)
          FROM trunkline.message m
          WHERE NOT EXISTS (SELECT FROM trunkline.queue q WHERE q.id = m.queue_id)
          ORDER BY m.id
          LIMIT 20
          """,
          // So does what senders have remembered.
          """
          SELECT format('%s of queue %s, which is gone', row.kind, row.queue_id)
          FROM (
            SELECT 'a deduplication id' AS kind, queue_id FROM trunkline.dedup
            UNION SELECT 'a producer', queue_id FROM trunkline.producer
          ) row
          WHERE NOT EXISTS (SELECT FROM trunkline.queue q WHERE q.id = row.queue_id)
          LIMIT 20
          """,
          // The progress of a producer is that of one that is there.
          """
          SELECT format('progress of producer %s, which is gone', p.producer_id)
          FROM trunkline.producer_progress p
          WHERE NOT EXISTS (SELECT FROM trunkline.producer r WHERE r.id = p.producer_id)
          LIMIT 20
          """,
          // A place in line says when the first message in it expires, or earlier.
          """
          WITH place AS (
            SELECT unnest(ids) AS id, expires_at, 'ready' AS state FROM trunkline.ready
            UNION ALL
            SELECT id, expires_at, 'scheduled' FROM trunkline.scheduled
            UNION ALL
            SELECT id, expires_at, 'in line' FROM trunkline.line
          )
          SELECT format('message %s expires at %s, and is %s until %s', m.id, m.expires_at, p.state, p.expires_at)
          FROM trunkline.message m
          JOIN place p USING (id)
          WHERE m.expires_at IS NOT NULL AND (p.expires_at IS NULL OR p.expires_at > m.expires_at)
          ORDER BY m.id
          LIMIT 20
          """,
          // The tally says what counting would say. Dead letters outlive their queue, which takes
          // its tally along.
          """
          WITH counted AS (
            SELECT queue_id, cardinality(ids) AS ready, 0 AS scheduled, 0 AS in_flight, 0 AS dead, bytes
            FROM trunkline.ready
            UNION ALL
            SELECT queue_id, 1, 0, 0, 0, bytes FROM trunkline.line
            UNION ALL
            SELECT queue_id, 0, 1, 0, 0, bytes FROM trunkline.scheduled
            UNION ALL
            SELECT queue_id, 0, 0, cardinality(ids), 0, 0 FROM trunkline.lease
            UNION ALL
            SELECT q.id, 0, 0, 0, 1, 0
            FROM trunkline.dead_letter d
            JOIN trunkline.queue q ON q.name = d.queue AND q.deleted_at IS NULL
          ), count AS (
            SELECT queue_id, sum(ready) AS ready, sum(scheduled) AS scheduled,
              sum(in_flight) AS in_flight, sum(dead) AS dead, sum(bytes) AS bytes
            FROM counted
            GROUP BY queue_id
          ), tally AS (
            SELECT queue_id, sum(ready) AS ready, sum(scheduled) AS scheduled,
              sum(in_flight) AS in_flight, sum(dead) AS dead, sum(waiting_bytes) AS bytes
            FROM trunkline.tally
            GROUP BY queue_id
          ), compared AS (
            SELECT q.name, s.state, coalesce(s.tallied, 0) AS tallied, coalesce(s.counted, 0) AS counted
            FROM trunkline.queue q
            LEFT JOIN count c ON c.queue_id = q.id
            LEFT JOIN tally t ON t.queue_id = q.id
            CROSS JOIN LATERAL (VALUES
              ('ready', t.ready, c.ready),
              ('scheduled', t.scheduled, c.scheduled),
              ('in flight', t.in_flight, c.in_flight),
              ('waiting bytes', t.bytes, c.bytes),
              ('dead', t.dead, c.dead)) AS s (state, tallied, counted)
            WHERE q.deleted_at IS NULL
          )
          SELECT format('queue %s: %s tallied as %s, not %s', name, state, tallied, counted)
          FROM compared
          WHERE tallied <> counted
          ORDER BY name, state
          LIMIT 20
          """,
          // A message in line, or in the lease of a key, is of that key.
          """
          SELECT format('message %s of key %s is in the line of key %s', m.id, m.key, p.key)
          FROM (
            SELECT id, key FROM trunkline.line
            UNION ALL
            SELECT unnest(ids), key FROM trunkline.lease WHERE key IS NOT NULL
          ) p
          JOIN trunkline.message m ON m.id = p.id
          WHERE m.key COLLATE "C" <> p.key
          ORDER BY m.id
          LIMIT 20
          """,
          // A key that is open has one baton, or one lease, or is parked; nothing else has any.
          """
          WITH baton AS (
            SELECT queue_id, key, 'turn ' || seq AS place FROM trunkline.turn WHERE from_id IS NOT NULL
            UNION ALL
            SELECT queue_id, key, 'later' FROM trunkline.turn_later
            UNION ALL
            SELECT queue_id, key, 'parked' FROM trunkline.parked_line
            UNION ALL
            SELECT queue_id, key, 'lease ' || id FROM trunkline.lease WHERE key IS NOT NULL
          ), batons AS (
            SELECT queue_id, key, count(*) AS times, string_agg(place, ', ') AS places
            FROM baton
            GROUP BY queue_id, key
          )
          SELECT format('key %s of queue %s: open %s, baton at %s',
            coalesce(o.key, b.key), coalesce(o.queue_id, b.queue_id), o.key IS NOT NULL, b.places)
          FROM trunkline.open_key o
          FULL JOIN batons b ON b.queue_id = o.queue_id AND b.key = o.key
          WHERE o.key IS NULL OR b.key IS NULL OR b.times <> 1
          LIMIT 20
          """,
          // What waits of a key, and what senders may rely on, is known to the claimers: the key is
          // open, or announced.
          """
          SELECT format('key %s of queue %s has a %s, and is neither open nor announced', w.key, w.queue_id, w.what)
          FROM (
            SELECT DISTINCT queue_id, key, 'line' AS what FROM trunkline.line
            UNION ALL
            SELECT DISTINCT queue_id, key, 'mark' FROM trunkline.key_mark
          ) w
          WHERE NOT EXISTS (
              SELECT FROM trunkline.open_key o WHERE o.queue_id = w.queue_id AND o.key = w.key)
            AND NOT EXISTS (
              SELECT FROM trunkline.turn t WHERE t.queue_id = w.queue_id AND t.key = w.key)
          LIMIT 20
          """,
          // A group has not come further than its topic.
          """
          SELECT format('group %s has committed %s of partition %s, which ends at %s',
            g.name, c.committed, c.partition, log.log_end)
          FROM trunkline.group_commit c
          JOIN trunkline.consumer_group g ON g.id = c.group_id
          LEFT JOIN LATERAL (
            SELECT coalesce(max(s.base_offset + cardinality(s.ids)), p.log_start) AS log_end
            FROM trunkline.topic_partition p
            LEFT JOIN trunkline.segment s ON s.topic_id = p.topic_id AND s.partition = p.partition
            WHERE p.topic_id = g.topic_id AND p.partition = c.partition
            GROUP BY p.log_start
          ) log ON true
          WHERE c.committed > coalesce(log.log_end, -1)
          ORDER BY c.id
          LIMIT 20
          """,
          // What groups have belongs to a group.
          """
          SELECT format('%s of group %s, which is gone', row.kind, row.group_id)
          FROM (
            SELECT 'a partition' AS kind, group_id FROM trunkline.group_partition
            UNION SELECT 'a commit', group_id FROM trunkline.group_commit
            UNION SELECT 'a failure', group_id FROM trunkline.group_failure
            UNION SELECT 'a parked key', group_id FROM trunkline.parked_key
            UNION SELECT 'a redelivery', group_id FROM trunkline.group_redelivery
            UNION SELECT 'a member', group_id FROM trunkline.group_member
            UNION SELECT 'a shared lease', group_id FROM trunkline.shared_lease
            UNION SELECT 'a waiting record', group_id FROM trunkline.shared_waiting
          ) row
          WHERE NOT EXISTS (SELECT FROM trunkline.consumer_group g WHERE g.id = row.group_id)
          LIMIT 20
          """,
          // Every partition of a group has said where it goes on.
          """
          SELECT format('partition %s of group %s has no position', p.partition, p.group_id)
          FROM trunkline.group_partition p
          WHERE NOT EXISTS (
            SELECT FROM trunkline.group_commit c
            WHERE c.group_id = p.group_id AND c.partition = p.partition)
          LIMIT 20
          """,
          // Where members run, no partition is left with, or promised to, one that is gone: the
          // transaction that removes a member sees to its partitions.
          """
          SELECT format('partition %s of group %s is of member %s, promised to %s: one of them is gone',
            p.partition, p.group_id, p.member_id, p.wanted_by)
          FROM trunkline.group_partition p
          WHERE (
              p.member_id NOT IN (SELECT id FROM trunkline.group_member)
              OR p.wanted_by NOT IN (SELECT id FROM trunkline.group_member))
            AND EXISTS (SELECT FROM trunkline.group_member m WHERE m.group_id = p.group_id)
          LIMIT 20
          """,
          // Nobody has committed under an epoch that is still to come.
          """
          SELECT format('partition %s of group %s is at epoch %s and has a commit of epoch %s',
            p.partition, p.group_id, p.epoch, c.epoch)
          FROM trunkline.group_partition p
          JOIN trunkline.group_commit c USING (group_id, partition)
          WHERE c.epoch > p.epoch
          LIMIT 20
          """,
          // A record has one offset, or has not been seen by the last step and is above the floor.
          """
          WITH place AS (
            SELECT s.topic_id, u.id, count(*) AS times, min(s.partition) AS partition
            FROM trunkline.segment s
            CROSS JOIN LATERAL unnest(s.ids) AS u(id)
            GROUP BY s.topic_id, u.id
          ), newest AS (
            SELECT DISTINCT ON (topic_id) topic_id, snapshot, floor_id
            FROM trunkline.sequencing
            ORDER BY topic_id, id DESC
          )
          SELECT format(
              'record %s of topic %s, partition %s: %s offsets, in partition %s',
              r.id, t.name, r.partition, coalesce(p.times, 0), coalesce(p.partition::text, 'none'))
          FROM trunkline.topic t
          JOIN trunkline.record r ON r.topic_id = t.id
          JOIN newest n ON n.topic_id = t.id
          LEFT JOIN place p ON p.topic_id = r.topic_id AND p.id = r.id
          WHERE t.deleted_at IS NULL
            AND (p.times > 1
              OR p.partition <> r.partition
              OR (p.times IS NULL AND (pg_visible_in_snapshot(r.xid, n.snapshot) OR r.id <= n.floor_id)))
          ORDER BY r.id
          LIMIT 20
          """,
          // Offsets are dense from the start of a partition's log on, and append times never fall.
          """
          WITH segment AS (
            SELECT
              s.*,
              lag(s.base_offset + cardinality(s.ids)) OVER in_order AS expected,
              lag(s.appended_at) OVER in_order AS earlier
            FROM trunkline.segment s
            WINDOW in_order AS (PARTITION BY s.topic_id, s.partition ORDER BY s.base_offset)
          )
          SELECT format(
              'topic %s, partition %s: a segment at offset %s, appended at %s, after %s, appended at %s',
              t.name, s.partition, s.base_offset, s.appended_at,
              coalesce(s.expected::text, 'a start at ' || coalesce(p.log_start::text, 'nowhere')), s.earlier)
          FROM segment s
          JOIN trunkline.topic t ON t.id = s.topic_id AND t.deleted_at IS NULL
          LEFT JOIN trunkline.topic_partition p ON p.topic_id = s.topic_id AND p.partition = s.partition
          WHERE s.base_offset <> s.expected
            OR s.appended_at < s.earlier
            OR (s.expected IS NULL AND (p.log_start IS NULL OR p.log_start > s.base_offset))
          ORDER BY t.name, s.partition, s.base_offset
          LIMIT 20
          """,
          // What has its offset, or never will, stays so.
          """
          WITH step AS (
            SELECT s.*, lag(s.floor_id) OVER (PARTITION BY s.topic_id ORDER BY s.id) AS earlier
            FROM trunkline.sequencing s
          )
          SELECT format('topic %s, step %s: a floor of %s after %s, and %s to come',
            s.topic_id, s.id, s.floor_id, s.earlier, s.next_floor_id)
          FROM step s
          WHERE s.floor_id < s.earlier OR s.next_floor_id < s.floor_id
          ORDER BY s.topic_id, s.id
          LIMIT 20
          """,
          // The ids of a segment are at most 200, none twice, and of one chunk.
          """
          SELECT format(
              'topic %s, partition %s, the segment at %s: ids %s, chunk %s',
              s.topic_id, s.partition, s.base_offset, s.ids[1:10], s.chunk)
          FROM trunkline.segment s
          WHERE cardinality(s.ids) <> (SELECT count(DISTINCT id) FROM unnest(s.ids) AS id)
            OR cardinality(s.ids) > 200
            OR EXISTS (SELECT FROM unnest(s.ids) AS id WHERE id >> 40 <> s.chunk)
          ORDER BY s.topic_id, s.partition, s.base_offset
          LIMIT 20
          """,
          // A shared group has an offset in one place at most: beyond its cursor, or in a lease, or
          // waiting. What came back from the dead letters is a copy, and has a place of its own.
          """
          WITH place AS (
            SELECT group_id, partition, unnest(offsets) AS "offset", redelivery_id, 'lease ' || id AS state
            FROM trunkline.shared_lease
            UNION ALL
            SELECT group_id, partition, "offset", redelivery_id, 'waiting' FROM trunkline.shared_waiting
          )
          SELECT format('offset %s of partition %s of shared group %s is in %s places: %s',
            "offset", partition, group_id, count(*), string_agg(state, ', ' ORDER BY state))
          FROM place
          GROUP BY group_id, partition, "offset", redelivery_id
          HAVING count(*) > 1
          LIMIT 20
          """,
          """
          WITH place AS (
            SELECT group_id, partition, unnest(offsets) AS "offset" FROM trunkline.shared_lease
            UNION ALL
            SELECT group_id, partition, "offset" FROM trunkline.shared_waiting
          )
          SELECT format('offset %s of partition %s of shared group %s is claimed, but the cursor is at %s',
            place."offset", place.partition, place.group_id, cursor.committed)
          FROM place
          CROSS JOIN LATERAL (
            SELECT c.committed
            FROM trunkline.group_commit c
            WHERE c.group_id = place.group_id AND c.partition = place.partition
            ORDER BY c.id DESC
            LIMIT 1) cursor
          WHERE place."offset" >= cursor.committed
          LIMIT 20
          """,
          // A shared lease has a holder, of its own group.
          """
          SELECT format('shared lease %s of group %s is held by member %s, which is gone',
            l.id, l.group_id, l.member_id)
          FROM trunkline.shared_lease l
          WHERE NOT EXISTS (
            SELECT FROM trunkline.group_member m WHERE m.id = l.member_id AND m.group_id = l.group_id)
          ORDER BY l.id
          LIMIT 20
          """,
          // An offset names the record that its segment says.
          """
          WITH place AS (
            SELECT l.group_id, l.partition, u."offset", u.id
            FROM trunkline.shared_lease l
            CROSS JOIN LATERAL unnest(l.offsets, l.ids) AS u("offset", id)
            WHERE l.redelivery_id IS NULL
            UNION ALL
            SELECT group_id, partition, "offset", record_id
            FROM trunkline.shared_waiting
            WHERE redelivery_id IS NULL
          )
          SELECT format('offset %s of partition %s of shared group %s is record %s, not %s',
            place."offset", place.partition, place.group_id, s.ids[place."offset" - s.base_offset + 1], place.id)
          FROM place
          JOIN trunkline.consumer_group g ON g.id = place.group_id
          JOIN trunkline.segment s
            ON s.topic_id = g.topic_id
            AND s.partition = place.partition
            AND s.base_offset <= place."offset"
            AND s.base_offset + cardinality(s.ids) > place."offset"
          WHERE s.ids[place."offset" - s.base_offset + 1] <> place.id
          LIMIT 20
          """,
          // What goes back to a shared group has its copy, and each copy is on its way.
          """
          WITH place AS (
            SELECT redelivery_id AS id FROM trunkline.shared_lease WHERE redelivery_id IS NOT NULL
            UNION ALL
            SELECT redelivery_id FROM trunkline.shared_waiting WHERE redelivery_id IS NOT NULL
          ), copy AS (
            SELECT r.id
            FROM trunkline.group_redelivery r
            JOIN trunkline.consumer_group g ON g.id = r.group_id AND g.kind = 'SHARED'
          )
          SELECT format('redelivery %s of a shared group %s',
            coalesce(place.id, copy.id), CASE WHEN copy.id IS NULL THEN 'has no copy' ELSE 'is nowhere' END)
          FROM place
          FULL JOIN copy ON copy.id = place.id
          WHERE place.id IS NULL OR copy.id IS NULL
          LIMIT 20
          """);

  private Invariants() {}

  /** The rules that are broken now, all seen at one moment. */
  static List<String> broken(TestDatabase database) {
    return database.onSpare(Invariants::broken, "the rules");
  }

  private static List<String> broken(Connection connection) throws SQLException {
    List<String> broken = new ArrayList<>();
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      statement.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
      // In one text, for one round trip.
      boolean more = statement.execute(String.join(";\n", QUERIES));
      while (more) {
        try (ResultSet rows = statement.getResultSet()) {
          while (rows.next()) {
            broken.add(rows.getString(1));
          }
        }
        more = statement.getMoreResults();
      }
    } finally {
      connection.rollback();
      connection.setAutoCommit(true);
    }
    return broken;
  }
}
