package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * Settling where messages wait by key. What ends the lease of a key passes on its baton in the same
 * statement or, TAKE and {@link ReapStore}, in the same transaction. Fenced as {@link SettleStore}
 * is, by the same locks; statements of their own, so that settling what has no key carries nothing
 * of this.
 */
final class KeyedSettleStore {
  private KeyedSettleStore() {}

  /** Acks whole leases of keys, as {@link SettleStore}'s ACK_ALL does. */
  private static final String ACK_ALL =
      """
      WITH done AS (
        DELETE FROM trunkline.lease
        WHERE id = ANY (:leaseIds::bigint[])
          AND cardinality(ids) = (:counts::integer[])[array_position(:leaseIds::bigint[], id)]
        RETURNING id, queue_id, ids, key, key_from, key_walked
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT unnest(ids) FROM done))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, acked)
        SELECT queue_id, -sum(cardinality(ids)), sum(cardinality(ids))
        FROM done
        GROUP BY queue_id
      ), passed_on AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, walked, key)
        SELECT nextval('trunkline.message_id_seq'), key_from, queue_id, key_walked, key
        FROM done
        RETURNING seq
      )
      SELECT id, (SELECT min(seq) FROM passed_on) AS first, (SELECT max(seq) FROM passed_on) AS last
      FROM done
      """;

  /** Acks some messages of the lease of a key, as {@link SettleStore}'s ACK_SOME does. */
  private static final String ACK_SOME =
      """
      WITH held AS MATERIALIZED (
        SELECT queue_id, ids, deliveries, acquired, key, key_from, key_walked
        FROM trunkline.lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT u.id, u.deliveries, u.acquired, u.id = ANY (:messageIds::bigint[]) AS settled
        FROM held
        CROSS JOIN LATERAL unnest(held.ids, held.deliveries, held.acquired) AS u(id, deliveries, acquired)
      ), kept AS (
        SELECT array_agg(id) AS ids, array_agg(deliveries) AS deliveries, array_agg(acquired) AS acquired
        FROM item
        WHERE NOT settled
      ), shrunk AS (
        UPDATE trunkline.lease
        SET ids = kept.ids, deliveries = kept.deliveries, acquired = kept.acquired
        FROM kept
        WHERE lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT settled)
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT id FROM item WHERE settled))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, acked)
        SELECT held.queue_id, -count(*), count(*)
        FROM held
        CROSS JOIN item
        WHERE item.settled
        GROUP BY held.queue_id
      ), passed_on AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, walked, key)
        SELECT nextval('trunkline.message_id_seq'), key_from, queue_id, key_walked, key
        FROM held
        WHERE NOT EXISTS (SELECT 1 FROM item WHERE NOT settled)
        RETURNING seq
      )
      SELECT id, (SELECT min(seq) FROM passed_on) AS first, (SELECT max(seq) FROM passed_on) AS last
      FROM item
      WHERE settled
      """;

  /**
   * Acks the only message in the lease of a key, in any transaction, as {@link FenceStore} does.
   */
  private static final String ACK_FENCED =
      """
      WITH done AS (
        DELETE FROM trunkline.lease
        WHERE id = :leaseId AND ids = ARRAY[:messageId::bigint]
        RETURNING id, queue_id, ids, key, key_from, key_walked
      ), gone AS (
        DELETE FROM trunkline.message
        WHERE id = ANY (ARRAY(SELECT unnest(ids) FROM done))
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, acked)
        SELECT queue_id, -cardinality(ids), cardinality(ids)
        FROM done
      ), passed_on AS (
        INSERT INTO trunkline.turn (seq, from_id, queue_id, walked, key)
        SELECT nextval('trunkline.message_id_seq'), key_from, queue_id, key_walked, key
        FROM done
        RETURNING seq
      )
      SELECT id, (SELECT seq FROM passed_on) AS first, (SELECT seq FROM passed_on) AS last
      FROM done
      """;

  /**
   * Takes some messages out of the lease of a key, or everything, for what follows in the same
   * transaction: RETURN or the dead letters and, if the lease has ended by it, the baton. What is
   * taken out may come to stand in the line again: it begins no later than there.
   */
  private static final String TAKE =
      """
      WITH held AS MATERIALIZED (
        SELECT queue_id, ids, deliveries, acquired, key, key_from, key_walked
        FROM trunkline.lease
        WHERE id = :leaseId
        FOR UPDATE
      ), item AS MATERIALIZED (
        SELECT u.id, u.deliveries, u.acquired, :everything OR u.id = ANY (:messageIds::bigint[]) AS settled
        FROM held
        CROSS JOIN LATERAL unnest(held.ids, held.deliveries, held.acquired) AS u(id, deliveries, acquired)
      ), kept AS (
        SELECT array_agg(id) AS ids, array_agg(deliveries) AS deliveries, array_agg(acquired) AS acquired
        FROM item
        WHERE NOT settled
      ), shrunk AS (
        UPDATE trunkline.lease
        SET
          ids = kept.ids,
          deliveries = kept.deliveries,
          acquired = kept.acquired,
          key_from = least(lease.key_from, (SELECT min(id) FROM item WHERE settled))
        FROM kept
        WHERE lease.id = :leaseId AND kept.ids IS NOT NULL
      ), emptied AS (
        DELETE FROM trunkline.lease
        WHERE id = :leaseId AND NOT EXISTS (SELECT 1 FROM item WHERE NOT settled)
      )
      SELECT
        item.id,
        item.deliveries,
        item.acquired,
        held.key,
        least(held.key_from, (SELECT min(id) FROM item WHERE settled)) AS key_from,
        held.key_walked,
        NOT EXISTS (SELECT 1 FROM item WHERE NOT settled) AS ended
      FROM held
      CROSS JOIN item
      WHERE item.settled
      """;

  /**
   * Puts messages back into the line of their key, each in its old place; one that has to wait
   * holds up the others.
   */
  private static final String RETURN_FIFO =
      """
      WITH item AS MATERIALIZED (
        SELECT i.id, i.deliveries, i.acquired, i.delay_ms, m.bytes, m.expires_at, m.key
        FROM unnest(:ids::bigint[], :deliveries::integer[], :acquired::integer[], :delaysMs::bigint[])
          AS i(id, deliveries, acquired, delay_ms)
        CROSS JOIN LATERAL (
          SELECT octet_length(payload) AS bytes, expires_at, coalesce(key, '') AS key
          FROM trunkline.message
          WHERE message.id = i.id
          OFFSET 0) m
      ), lined AS (
        INSERT INTO trunkline.line (id, due_at, expires_at, queue_id, bytes, deliveries, acquired, key)
        SELECT
          id,
          CASE WHEN delay_ms > 0 THEN clock_timestamp() + delay_ms * interval '1 millisecond' END,
          expires_at, :queueId, bytes, deliveries, acquired, key
        FROM item
      )
      INSERT INTO trunkline.tally (queue_id, in_flight, waiting_bytes, ready)
      SELECT :queueId, -cardinality(:ids::bigint[]), coalesce(sum(bytes), 0), count(*)
      FROM item
      RETURNING queue_id
      """;

  /**
   * Puts messages back where keys take turns: into scheduled if they have to wait, else into the
   * line of their key, with an arrival. Answers the arrivals.
   */
  private static final String RETURN_FAIR =
      """
      WITH item AS MATERIALIZED (
        SELECT i.id, i.deliveries, i.acquired, i.delay_ms, m.bytes, m.expires_at, m.priority, m.key
        FROM unnest(:ids::bigint[], :deliveries::integer[], :acquired::integer[], :delaysMs::bigint[])
          AS i(id, deliveries, acquired, delay_ms)
        CROSS JOIN LATERAL (
          SELECT octet_length(payload) AS bytes, expires_at, priority, coalesce(key, '') AS key
          FROM trunkline.message
          WHERE message.id = i.id
          OFFSET 0) m
      ), later AS (
        INSERT INTO trunkline.scheduled (
          id, due_at, queue_id, bytes, priority, deliveries, acquired, expires_at, key)
        SELECT
          id, clock_timestamp() + delay_ms * interval '1 millisecond', :queueId, bytes, priority, deliveries, acquired,
          expires_at, key
        FROM item
        WHERE delay_ms > 0
      ), lined AS (
        INSERT INTO trunkline.line (id, expires_at, queue_id, bytes, deliveries, acquired, key)
        SELECT id, expires_at, :queueId, bytes, deliveries, acquired, key
        FROM item
        WHERE delay_ms <= 0
      ), arrived AS (
        INSERT INTO trunkline.turn (seq, queue_id, key)
        SELECT nextval('trunkline.message_id_seq'), :queueId, key
        FROM item
        WHERE delay_ms <= 0
        GROUP BY key
        RETURNING seq
      ), counted AS (
        INSERT INTO trunkline.tally (queue_id, in_flight, waiting_bytes, scheduled, ready)
        SELECT
          :queueId,
          -cardinality(:ids::bigint[]),
          coalesce(sum(bytes), 0),
          count(*) FILTER (WHERE delay_ms > 0),
          count(*) FILTER (WHERE delay_ms <= 0)
        FROM item
      )
      SELECT min(seq) AS first, max(seq) AS last
      FROM arrived
      HAVING count(*) > 0
      """;

  /** What was acked, by lease or by message, and the turns that follow. */
  record Acked(List<Long> ids, List<Lanes.Announced> turns) {}

  /**
   * The baton that comes free with a lease that has ended.
   *
   * @param fromId where its line begins; zero if that is not known
   * @param walked how many messages were claimed since that was found out
   */
  record Baton(String key, long fromId, int walked, boolean ended) {
    /** Of a lease that is gone. */
    static Baton ofEnded(String key) {
      return new Baton(key, 0, 0, true);
    }
  }

  /** What was taken out of the lease of a key. */
  record Taken(List<SettleStore.Held> held, List<Baton> baton) {}

  static Acked ackAll(Session session, long[] leaseIds, int[] counts) {
    return acked(
        session.relaxed(ACK_ALL).bindArray("leaseIds", leaseIds).bindArray("counts", counts));
  }

  static Acked ackSome(Session session, long leaseId, long[] messageIds) {
    return acked(
        session.relaxed(ACK_SOME).bind("leaseId", leaseId).bindArray("messageIds", messageIds));
  }

  static Acked ackFenced(Session session, long leaseId, long messageId) {
    return acked(session.pinned(ACK_FENCED).bind("leaseId", leaseId).bind("messageId", messageId));
  }

  static Taken take(Session session, long leaseId, long[] messageIds, boolean everything) {
    List<Baton> batons = new ArrayList<>();
    List<SettleStore.Held> held =
        session
            .relaxed(TAKE)
            .bind("leaseId", leaseId)
            .bindArray("messageIds", messageIds)
            .bind("everything", everything)
            .list(
                row -> {
                  if (batons.isEmpty()) {
                    batons.add(
                        new Baton(
                            row.getString("key"),
                            row.getLong("key_from"),
                            row.getInt("key_walked"),
                            row.getBoolean("ended")));
                  }
                  return new SettleStore.Held(row.getLong(1), row.getInt(2), row.getInt(3));
                });
    return new Taken(held, batons);
  }

  static void putBackFifo(Session session, int queueId, List<SettleStore.Returned> messages) {
    bound(session.relaxed(RETURN_FIFO), queueId, messages).run();
  }

  static List<Lanes.Announced> putBackFair(
      Session session, int queueId, List<SettleStore.Returned> messages) {
    return bound(session.relaxed(RETURN_FAIR), queueId, messages).list(KeyedSettleStore::announced);
  }

  private static Session.Rows bound(
      Session.Rows statement, int queueId, List<SettleStore.Returned> messages) {
    return statement
        .bind("queueId", queueId)
        .bindArray("ids", messages.stream().mapToLong(SettleStore.Returned::id).toArray())
        .bindArray(
            "deliveries", messages.stream().mapToInt(SettleStore.Returned::deliveries).toArray())
        .bindArray("acquired", messages.stream().mapToInt(SettleStore.Returned::acquired).toArray())
        .bindArray(
            "delaysMs", messages.stream().mapToLong(SettleStore.Returned::delayMs).toArray());
  }

  private static Acked acked(Session.Rows statement) {
    List<Lanes.Announced> turns = new ArrayList<>();
    List<Long> ids =
        statement.list(
            row -> {
              if (turns.isEmpty() && row.getLong("first") > 0) {
                turns.add(announced(row));
              }
              return row.getLong("id");
            });
    return new Acked(ids, turns);
  }

  private static Lanes.Announced announced(ResultSet row) throws SQLException {
    return new Lanes.Announced(0, row.getLong("first"), row.getLong("last"));
  }
}
