package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import dev.trunkline.message.MessageId;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.List;

/** The batons of keys: closed, passed on, parked and released. */
final class KeyStore {
  private KeyStore() {}

  /**
   * Closes keys whose lines are empty, in two statements of one transaction. The first takes every
   * lock, and waits for none: baton, open_key, and all marks, one of which each sender has locked
   * that has not announced itself. The second has a new snapshot: it sees what any sender sent who
   * relied on a mark that was locked by then. A mark that was not locked by then, or is new, keeps
   * the key open.
   *
   * <p>A baton whose line is not empty after all is at the end of the turns; one that a sender has
   * kept from being closed waits a little, longer each time. The first statement hands what it
   * locked to the second by a setting that ends with the transaction.
   */
  private static final String CLOSE =
      """
      WITH baton AS MATERIALIZED (
        SELECT turn.seq, turn.key
        FROM trunkline.turn
        WHERE turn.queue_id = :queueId AND turn.seq = ANY (:seqs::bigint[]) AND turn.from_id IS NOT NULL
        ORDER BY turn.seq
        FOR UPDATE SKIP LOCKED
      ), opened AS MATERIALIZED (
        SELECT baton.seq, baton.key
        FROM baton
        CROSS JOIN LATERAL (
          SELECT 1
          FROM trunkline.open_key
          WHERE open_key.queue_id = :queueId AND open_key.key = baton.key
          LIMIT 1
          FOR UPDATE SKIP LOCKED) o
      ), mark AS MATERIALIZED (
        SELECT m.id
        FROM opened
        CROSS JOIN LATERAL (
          SELECT key_mark.id
          FROM trunkline.key_mark
          WHERE key_mark.queue_id = :queueId AND key_mark.key = opened.key
          LIMIT 1000000
          FOR UPDATE SKIP LOCKED) m
      )
      SELECT set_config(
        'trunkline.closing',
        concat(
          (SELECT string_agg(seq::text, ',') FROM opened), ';', (SELECT string_agg(id::text, ',') FROM mark)),
        true);
      WITH locked AS MATERIALIZED (
        SELECT turn.ctid AS tid, turn.seq, turn.hops, turn.key
        FROM trunkline.turn
        WHERE turn.queue_id = :queueId
          AND turn.seq = ANY (string_to_array(split_part(current_setting('trunkline.closing'), ';', 1), ',')::bigint[])
          AND turn.from_id IS NOT NULL
      ), judged AS MATERIALIZED (
        SELECT
          locked.*,
          EXISTS (
            SELECT 1
            FROM trunkline.line
            WHERE line.queue_id = :queueId AND line.key = locked.key) AS waited_for,
          EXISTS (
            SELECT 1
            FROM trunkline.key_mark
            WHERE key_mark.queue_id = :queueId
              AND key_mark.key = locked.key
              AND key_mark.id <> ALL (
                string_to_array(split_part(current_setting('trunkline.closing'), ';', 2), ',')::bigint[])) AS relied_on
        FROM locked
      ), unmarked AS (
        DELETE FROM trunkline.key_mark
        USING judged
        WHERE key_mark.queue_id = :queueId AND key_mark.key = judged.key AND NOT waited_for AND NOT relied_on
      ), closed AS (
        DELETE FROM trunkline.open_key
        USING judged
        WHERE open_key.queue_id = :queueId AND open_key.key = judged.key AND NOT waited_for AND NOT relied_on
      ), taken AS (
        DELETE FROM trunkline.turn
        WHERE ctid = ANY (ARRAY(SELECT tid FROM locked))
      ), back AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, key)
        SELECT nextval('trunkline.message_id_seq'), 0, :queueId, key
        FROM judged
        WHERE waited_for
        RETURNING seq
      ), later AS (
        INSERT INTO trunkline.turn_later (due_at, from_id, queue_id, hops, key)
        SELECT
          clock_timestamp() + least(640, 5 * 2 ^ least(hops, 10)) * interval '1 millisecond',
          0, :queueId, least(hops + 1, 100), key
        FROM judged
        WHERE relied_on AND NOT waited_for
        RETURNING due_at
      )
      SELECT
        (SELECT min(seq) FROM back) AS first,
        (SELECT max(seq) FROM back) AS last,
        (SELECT (extract(epoch FROM min(due_at) - clock_timestamp()) * 1000)::bigint FROM later) AS due_in_ms
      """;

  /**
   * Finds out where the lines of leased keys begin, so that claims need not walk what has been
   * there. In two statements of one transaction, as CLOSE: the first takes all marks, and with them
   * knows that no sender is open who relies on any. What the second sees, with a new snapshot, is
   * all that they have sent; it puts one mark in the place of all, and whoever relies on that draws
   * his ids later, since he has seen it. Who has seen none, or one that is gone, leaves his own,
   * which says how far back his messages reach. Nothing happens if there is a mark that could not
   * be locked, or is new.
   *
   * <p>Looks from the bound on that was known before, if that still holds. Index: key_mark_pkey,
   * line_pkey.
   */
  private static final String ADVANCE =
      """
      WITH held AS MATERIALIZED (
        SELECT lease.id, lease.queue_id, lease.key
        FROM trunkline.lease
        WHERE lease.id = ANY (:leaseIds::bigint[]) AND lease.key IS NOT NULL
        ORDER BY lease.id
        FOR UPDATE SKIP LOCKED
      ), mark AS MATERIALIZED (
        SELECT m.id
        FROM held
        CROSS JOIN LATERAL (
          SELECT key_mark.id
          FROM trunkline.key_mark
          WHERE key_mark.queue_id = held.queue_id AND key_mark.key = held.key
          LIMIT 1000000
          FOR UPDATE SKIP LOCKED) m
      )
      SELECT set_config(
        'trunkline.advancing',
        concat(
          (SELECT string_agg(id::text, ',') FROM held), ';', (SELECT string_agg(id::text, ',') FROM mark)),
        true);
      WITH locked AS MATERIALIZED (
        SELECT
          lease.id,
          lease.queue_id,
          lease.key,
          CASE
            WHEN EXISTS (
              SELECT 1
              FROM trunkline.key_mark
              WHERE key_mark.queue_id = lease.queue_id
                AND key_mark.key = lease.key
                AND key_mark.first_id < lease.key_from)
              THEN 0
            ELSE lease.key_from
          END AS key_from,
          EXISTS (
            SELECT 1
            FROM trunkline.key_mark
            WHERE key_mark.queue_id = lease.queue_id
              AND key_mark.key = lease.key
              AND key_mark.id <> ALL (
                string_to_array(split_part(current_setting('trunkline.advancing'), ';', 2), ',')::bigint[])) AS relied_on
        FROM trunkline.lease
        WHERE lease.id = ANY (
          string_to_array(split_part(current_setting('trunkline.advancing'), ';', 1), ',')::bigint[])
      ), bound AS MATERIALIZED (
        SELECT locked.*, coalesce(first.id, (SELECT last_value FROM trunkline.message_id_seq)) AS from_id
        FROM locked
        LEFT JOIN LATERAL (
          SELECT line.id
          FROM trunkline.line
          WHERE line.queue_id = locked.queue_id AND line.key = locked.key AND line.id >= locked.key_from
          ORDER BY line.id
          LIMIT 1) first ON true
        WHERE NOT locked.relied_on
      ), unmarked AS (
        DELETE FROM trunkline.key_mark
        USING bound
        WHERE key_mark.queue_id = bound.queue_id AND key_mark.key = bound.key
      ), marked AS (
        INSERT INTO trunkline.key_mark (first_id, queue_id, key)
        SELECT from_id, queue_id, key
        FROM bound
      )
      UPDATE trunkline.lease
      SET key_from = bound.from_id, key_walked = 0
      FROM bound
      WHERE lease.id = bound.id
      RETURNING lease.id
      """;

  /** Passes on the baton of a lease that has ended in this transaction. Answers its turn. */
  private static final String PASS_ON =
      """
      INSERT INTO trunkline.turn (seq, from_id, queue_id, walked, key)
      VALUES (nextval('trunkline.message_id_seq'), :fromId, :queueId, :walked, :key)
      RETURNING seq
      """;

  /** Keeps the baton of a lease that has ended in this transaction: its key waits. */
  private static final String PARK =
      """
      INSERT INTO trunkline.parked_line (message_id, queue_id, key)
      VALUES (:messageId, :queueId, :key)
      RETURNING key
      """;

  /** Gives the baton of a parked key its turn. Answers nothing if the key is not parked. */
  private static final String RELEASE =
      """
      WITH released AS (
        DELETE FROM trunkline.parked_line
        WHERE queue_id = :queueId AND key = :key
        RETURNING queue_id, key
      )
      INSERT INTO trunkline.turn (seq, from_id, queue_id, key)
      SELECT nextval('trunkline.message_id_seq'), 0, queue_id, key
      FROM released
      RETURNING seq
      """;

  /** In the order of the keys. */
  private static final String PARKED =
      """
      SELECT key, message_id, parked_at
      FROM trunkline.parked_line
      WHERE queue_id = :queueId
      ORDER BY key
      LIMIT :limit
      """;

  /** What a close leaves to be told: turns that are there again, and when others will be. */
  record Closed(long first, long last, long dueInMs) {
    static Closed of(ResultSet row) throws SQLException {
      long due = row.getLong("due_in_ms");
      return new Closed(row.getLong("first"), row.getLong("last"), row.wasNull() ? -1 : due);
    }
  }

  static Closed close(Session session, int queueId, long[] seqs) {
    return session
        .relaxedSecond(CLOSE)
        .bind("queueId", queueId)
        .bindArray("seqs", seqs)
        .list(Closed::of)
        .get(0);
  }

  /** Answers the leases whose keys begin where it says now. */
  static List<Long> advance(Session session, long[] leaseIds) {
    return session
        .relaxedSecond(ADVANCE)
        .bindArray("leaseIds", leaseIds)
        .list(row -> row.getLong(1));
  }

  static Lanes.Announced passOn(Session session, int queueId, KeyedSettleStore.Baton baton) {
    return session
        .relaxed(PASS_ON)
        .bind("queueId", queueId)
        .bind("key", baton.key())
        .bind("fromId", baton.fromId())
        .bind("walked", baton.walked())
        .list(row -> new Lanes.Announced(0, row.getLong(1), row.getLong(1)))
        .get(0);
  }

  static void park(Session session, int queueId, KeyedSettleStore.Baton baton, long messageId) {
    session
        .relaxed(PARK)
        .bind("queueId", queueId)
        .bind("key", baton.key())
        .bind("messageId", messageId)
        .run();
  }

  static List<Lanes.Announced> release(Session session, int queueId, String key) {
    return session
        .durablePinned(RELEASE)
        .bind("queueId", queueId)
        .bind("key", key)
        .list(row -> new Lanes.Announced(0, row.getLong(1), row.getLong(1)));
  }

  static List<ParkedKey> parked(Session session, int queueId, int limit) {
    return session
        .relaxed(PARKED)
        .bind("queueId", queueId)
        .bind("limit", limit)
        .list(
            row ->
                new ParkedKey(
                    row.getString("key"),
                    new MessageId(row.getLong("message_id")),
                    row.getObject("parked_at", OffsetDateTime.class).toInstant()));
  }
}
