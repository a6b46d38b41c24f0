package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.OptionalLong;

/** The one statement that an idle process repeats. */
final class PulseStore {
  private PulseStore() {}

  /**
   * Says that this process is alive, and looks whether there is anything to do: per lane the first
   * ready run from a place on, or where queues are keyed the first turn (-1 if there is none), how
   * long until the next scheduled message or turn is due and the next lease expires, how long until
   * the time of a message in line is over (if it is soon), whether another process has fallen
   * silent, and how many there are. Each look is one step into an index; where it begins is a hint,
   * so that it does not walk what has died.
   */
  private static final String LOOK =
      """
      WITH beat AS (
        INSERT INTO trunkline.heartbeat (consumer_id)
        SELECT id
        FROM trunkline.consumer
        WHERE id = :consumerId AND :beat
      )
      SELECT
        EXISTS (SELECT 1 FROM trunkline.consumer WHERE id = :consumerId) AS registered,
        (SELECT count(*) FROM trunkline.consumer) AS consumers,
        EXISTS (
          SELECT 1
          FROM trunkline.consumer
          WHERE coalesce((
            SELECT heartbeat.beat_at
            FROM trunkline.heartbeat
            WHERE heartbeat.consumer_id = consumer.id
            ORDER BY heartbeat.beat_at DESC
            LIMIT 1), consumer.started_at) < clock_timestamp() - consumer.heartbeat_timeout
        ) AS silent,
        least(
          (
            SELECT (extract(epoch FROM least(due_at, clock_timestamp() + interval '1 day') - clock_timestamp()) * 1000)::bigint
            FROM trunkline.scheduled
            WHERE due_at >= (
              SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '2 seconds' END)
            ORDER BY due_at
            LIMIT 1
          ), (
            SELECT (extract(epoch FROM due_at - clock_timestamp()) * 1000)::bigint
            FROM trunkline.turn_later
            WHERE due_at >= (
              SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '2 seconds' END)
            ORDER BY due_at
            LIMIT 1
          )) AS due_in_ms,
        (
          SELECT (extract(epoch FROM visible_at - clock_timestamp()) * 1000)::bigint
          FROM trunkline.lease
          WHERE visible_at >= (
            SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '2 seconds' END)
          ORDER BY visible_at
          LIMIT 1
        ) AS expires_in_ms,
        (
          SELECT (extract(epoch FROM min(soon.expires_at) - clock_timestamp()) * 1000)::bigint
          FROM (
            (
              SELECT expires_at
              FROM trunkline.ready
              WHERE expires_at >= (
                SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '2 seconds' END)
                AND expires_at <= (SELECT clock_timestamp() + interval '2 seconds')
              ORDER BY expires_at
              LIMIT 1
            )
            UNION ALL
            (
              SELECT expires_at
              FROM trunkline.scheduled
              WHERE expires_at >= (
                SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '2 seconds' END)
                AND expires_at <= (SELECT clock_timestamp() + interval '2 seconds')
              ORDER BY expires_at
              LIMIT 1
            )
            UNION ALL
            (
              SELECT expires_at
              FROM trunkline.line
              WHERE expires_at >= (
                SELECT CASE WHEN :everything THEN '-infinity' ELSE clock_timestamp() - interval '2 seconds' END)
                AND expires_at <= (SELECT clock_timestamp() + interval '2 seconds')
              ORDER BY expires_at
              LIMIT 1
            )
          ) soon
        ) AS over_in_ms,
        (SELECT coalesce(max(id), 0) FROM trunkline.tally) AS newest_tally,
        ARRAY(
          SELECT coalesce((
            SELECT ready.seq
            FROM trunkline.ready
            WHERE ready.queue_id = lane.queue_id
              AND ready.priority = lane.priority
              AND ready.seq >= lane.from_seq
            ORDER BY ready.seq
            LIMIT 1), CASE WHEN lane.priority = 0 THEN (
            SELECT turn.seq
            FROM trunkline.turn
            WHERE turn.queue_id = lane.queue_id AND turn.seq >= lane.from_seq
            ORDER BY turn.seq
            LIMIT 1) END, -1)
          FROM unnest(:queueIds::integer[], :priorities::smallint[], :froms::bigint[]) WITH ORDINALITY
            AS lane(queue_id, priority, from_seq, position)
          ORDER BY lane.position
        ) AS first_ready
      """;

  /**
   * What a look found.
   *
   * @param newestTally the id of the newest row of the tally
   * @param firstReady per lane asked for, the place of the first ready run, or -1
   */
  record Found(
      boolean registered,
      int consumers,
      boolean silent,
      OptionalLong dueInMs,
      OptionalLong expiresInMs,
      OptionalLong overInMs,
      long newestTally,
      long[] firstReady) {

    static Found of(ResultSet row) throws SQLException {
      return new Found(
          row.getBoolean("registered"),
          row.getInt("consumers"),
          row.getBoolean("silent"),
          optional(row, "due_in_ms"),
          optional(row, "expires_in_ms"),
          optional(row, "over_in_ms"),
          row.getLong("newest_tally"),
          unboxed((Long[]) row.getArray("first_ready").getArray()));
    }

    private static OptionalLong optional(ResultSet row, String column) throws SQLException {
      long value = row.getLong(column);
      return row.wasNull() ? OptionalLong.empty() : OptionalLong.of(value);
    }

    private static long[] unboxed(Long[] boxed) {
      long[] values = new long[boxed.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = boxed[i];
      }
      return values;
    }
  }

  /** The lanes to look at, as parallel arrays. */
  record LanesToSee(int[] queueIds, short[] priorities, long[] froms) {}

  static Found look(
      Session session, long consumerId, boolean beat, boolean everything, LanesToSee lanes) {
    return session
        .relaxed(LOOK)
        .bind("consumerId", consumerId)
        .bind("beat", beat)
        .bind("everything", everything)
        .bindArray("queueIds", lanes.queueIds())
        .bindArray("priorities", lanes.priorities())
        .bindArray("froms", lanes.froms())
        .list(Found::of)
        .get(0);
  }
}
