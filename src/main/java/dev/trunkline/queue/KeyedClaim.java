package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** What is asked of a claim by turns, and what it answers. */
final class KeyedClaim {
  private KeyedClaim() {}

  /** So many messages of a key are claimed until it is worth finding out where its line begins. */
  private static final int FAR = 512;

  /**
   * Takes up to maxTurns turns: locked in the order of seq, from where the lanes say, and only
   * those that nobody else has locked. An arrival opens its key, if it is not open: the unique key
   * of open_key decides between claimers, who are quick, so that one may wait for another; inserted
   * in order, so that they do not wait in a circle. If the key is open the arrival has said nothing
   * new, as long as nobody closes it at this moment, for whoever closes it later sees what has
   * arrived. The beginning of both kinds of claims, which must not differ in it: token, asked per
   * key, known, opened.
   */
  static final String TAKE_TURNS =
      """
      token AS MATERIALIZED (
        SELECT run.*, row_number() OVER () AS place
        FROM (
          SELECT t.*
          FROM unnest(:priorities::smallint[], :froms::bigint[], :tos::bigint[]) AS lane(priority, from_seq, to_seq)
          CROSS JOIN LATERAL (
            SELECT turn.ctid AS tid, turn.seq, turn.from_id, turn.walked, turn.key
            FROM trunkline.turn
            WHERE turn.queue_id = :queueId
              AND turn.seq >= lane.from_seq
              AND turn.seq < lane.to_seq
            ORDER BY turn.seq
            LIMIT :maxTurns
            FOR UPDATE SKIP LOCKED
          ) t
          WHERE lane.priority = 0
            AND EXISTS (
              SELECT 1 FROM trunkline.queue WHERE id = :queueId AND NOT paused AND deleted_at IS NULL)
            AND EXISTS (SELECT 1 FROM trunkline.consumer WHERE id = :consumerId)
          LIMIT :maxTurns
        ) run
      ), asked AS MATERIALIZED (
        SELECT
          key, min(place) AS place, min(seq) AS seq, max(from_id) AS from_id,
          max(walked) AS walked, bool_or(from_id IS NOT NULL) AS baton
        FROM token
        GROUP BY key
      ), seen AS MATERIALIZED (
        SELECT asked.key
        FROM asked
        CROSS JOIN LATERAL (
          SELECT 1
          FROM trunkline.open_key
          WHERE open_key.queue_id = :queueId AND open_key.key = asked.key
          OFFSET 0) o
        WHERE NOT asked.baton
      ), known AS MATERIALIZED (
        SELECT seen.key
        FROM seen
        CROSS JOIN LATERAL (
          SELECT 1
          FROM trunkline.open_key
          WHERE open_key.queue_id = :queueId AND open_key.key = seen.key
          LIMIT 1
          FOR KEY SHARE SKIP LOCKED) o
      ), opened AS (
        INSERT INTO trunkline.open_key (queue_id, key)
        SELECT :queueId, key
        FROM asked
        WHERE NOT baton AND key NOT IN (SELECT key FROM seen)
        ORDER BY key
        ON CONFLICT DO NOTHING
        RETURNING key
      )
      """;

  /**
   * The end of both kinds of claims: what was leased, with its payloads, and what was judged of the
   * turns. far says that a key has come so far that it is worth finding out where its line begins.
   */
  static final String ANSWER =
      """
      SELECT
        leased.id AS lease_id,
        (extract(epoch FROM leased.hidden_for) * 1000)::bigint AS hidden_for_ms,
        u.position,
        u.id,
        u.deliveries,
        u.acquired,
        m.id IS NOT NULL AS present,
        m.enqueued_at,
        (extract(epoch FROM m.expires_at - clock_timestamp()) * 1000000)::bigint AS expires_in_us,
        m.priority,
        m.key,
        m.type,
        m.content_type,
        m.headers,
        m.payload,
        leased.key IS NOT NULL
          AND leased.key_walked / :farAfter > (leased.key_walked - cardinality(leased.ids)) / :farAfter AS far,
        NULL::bigint AS seq,
        NULL::text AS fate,
        NULL::bigint AS due_in_ms
      FROM leased
      CROSS JOIN LATERAL unnest(leased.ids, leased.deliveries, leased.acquired) WITH ORDINALITY
        AS u(id, deliveries, acquired, position)
      LEFT JOIN LATERAL (
        SELECT
          id,
          enqueued_at,
          expires_at,
          priority,
          key,
          type,
          content_type,
          CASE WHEN headers IS NOT NULL THEN ARRAY(
            SELECT pair.part FROM jsonb_each_text(headers) h, unnest(ARRAY[h.key, coalesce(h.value, '')]) AS pair(part))
          END AS headers,
          payload
        FROM trunkline.message
        WHERE message.id = u.id
        OFFSET 0
      ) m ON true
      UNION ALL
      SELECT
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        seq, fate, due_in_ms
      FROM judged
      """;

  /** What one claim is asked for. */
  record Request(
      int queueId,
      long consumerId,
      long visibilityTimeoutMs,
      int maxMessages,
      long maxBytes,
      Depth depth) {

    Session.Rows bound(Session.Rows statement, Lanes.Attempt attempt) {
      return statement
          .bind("queueId", queueId)
          .bind("consumerId", consumerId)
          .bind("visibilityTimeoutMs", visibilityTimeoutMs)
          .bind("maxMessages", maxMessages)
          .bind("maxBytes", maxBytes)
          .bind("maxTurns", depth.maxTurns())
          .bind("maxPerKey", depth.maxPerKey())
          .bind("farAfter", FAR)
          .bindArray("priorities", attempt.priorities())
          .bindArray("froms", attempt.froms())
          .bindArray("tos", attempt.tos());
    }
  }

  /**
   * How far it looks.
   *
   * @param maxTurns turns that are taken up
   * @param maxPerKey messages of a key
   * @param everything whether lines whose order is not promised are looked at from their very
   *     beginning, or from where the batons say
   */
  record Depth(int maxTurns, int maxPerKey, boolean everything) {}

  /** What became of a turn. */
  enum Fate {
    /** It is over. */
    DONE,

    /** It is where it was, and worth another look. */
    LEFT,

    /** It is where it was, and its line is empty. */
    EMPTY,

    /** It waits until the head of its line is due. */
    LATER,

    /** A new one, at the end of the turns. */
    NEXT
  }

  /** A turn that was taken up. */
  record Turn(long seq, Fate fate, long dueInMs) {}

  /**
   * A row of the answer: a message that was claimed, or a turn.
   *
   * @param far whether the key of the message is worth finding out where its line begins
   */
  record Found(ClaimStore.@Nullable Claimed message, @Nullable Turn turn, boolean far) {

    static Found of(ResultSet row) throws SQLException {
      String fate = row.getString("fate");
      if (fate != null) {
        return new Found(
            null,
            new Turn(
                row.getLong("seq"),
                switch (fate) {
                  case "done" -> Fate.DONE;
                  case "left" -> Fate.LEFT;
                  case "empty" -> Fate.EMPTY;
                  case "later" -> Fate.LATER;
                  case "next" -> Fate.NEXT;
                  default -> throw new SQLException("unknown fate: " + fate);
                },
                row.getLong("due_in_ms")),
            false);
      }
      return new Found(
          new ClaimStore.Claimed(
              row.getLong("lease_id"),
              row.getLong("hidden_for_ms"),
              0,
              0,
              row.getLong("position"),
              new Lanes.Taken(0, 0, true),
              row.getLong("id"),
              row.getInt("deliveries"),
              row.getInt("acquired"),
              ClaimStore.expiresInMicros(row),
              row.getBoolean("present") ? MessageRow.of(row, row.getInt("priority")) : null),
          null,
          row.getBoolean("far"));
    }
  }
}
