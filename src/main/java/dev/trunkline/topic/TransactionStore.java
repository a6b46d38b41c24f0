package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.time.Duration;
import java.util.Optional;

/** Statements around a handler that works in the transaction of its offset. */
final class TransactionStore {
  private TransactionStore() {}

  /**
   * Whether the partition is still the member's: before the handler, so that nothing is done in
   * vain.
   */
  private static final String IS_OWNER =
      """
      SELECT 1
      FROM trunkline.group_partition
      WHERE group_id = :groupId AND partition = :partition AND member_id = :memberId AND epoch = :epoch
      """;

  /**
   * The last statement: the offset, if the partition is still the member's. The share lock keeps it
   * so until the commit. Should this process stop between here and there, the server ends the
   * transaction, so that the partition can be given to another member.
   */
  private static final String COMMIT =
      """
      WITH held AS (
        SELECT epoch
        FROM trunkline.group_partition
        WHERE group_id = :groupId AND partition = :partition AND member_id = :memberId AND epoch = :epoch
        FOR SHARE
      )
      INSERT INTO trunkline.group_commit (group_id, partition, committed, epoch)
      SELECT :groupId, :partition, :committed, epoch
      FROM held
      RETURNING id, set_config('idle_in_transaction_session_timeout', :patienceMs::text, true)
      """;

  /** The same for a record that came back from the dead letters: it is done with. */
  private static final String FINISH_REDELIVERY =
      """
      WITH held AS (
        SELECT epoch
        FROM trunkline.group_partition
        WHERE group_id = :groupId AND partition = :partition AND member_id = :memberId AND epoch = :epoch
        FOR SHARE
      )
      DELETE FROM trunkline.group_redelivery r
      USING held
      WHERE r.group_id = :groupId AND r.partition = :partition AND r."offset" = :offset AND r.id = :id
      RETURNING r.id, set_config('idle_in_transaction_session_timeout', :patienceMs::text, true)
      """;

  /** Waits for a transaction whose end is not known: it holds this row until it has ended. */
  private static final String AWAIT_END =
      """
      SELECT epoch
      FROM trunkline.group_partition
      WHERE group_id = :groupId AND partition = :partition
      FOR UPDATE
      """;

  private static final String HAS_COMMITTED =
      """
      SELECT 1
      FROM trunkline.group_commit
      WHERE group_id = :groupId AND partition = :partition AND id = :id
      """;

  private static final String IS_REDELIVERED =
      """
      SELECT 1
      FROM trunkline.group_redelivery
      WHERE group_id = :groupId AND partition = :partition AND "offset" = :offset AND id = :id
      """;

  static boolean isOwner(Session session, int groupId, Held held) {
    return !bound(session.statement(IS_OWNER), groupId, held).list(row -> row.getInt(1)).isEmpty();
  }

  /** Answers the id of the commit, or nothing if the partition is lost. */
  static Optional<Long> commit(
      Session session, int groupId, Held held, long offset, Duration patience) {
    return bound(session.statement(COMMIT), groupId, held)
        .bind("committed", offset)
        .bind("patienceMs", patience.toMillis())
        .list(row -> row.getLong(1))
        .stream()
        .findFirst();
  }

  /** Answers the id of the redelivery, or nothing if the partition is lost. */
  static Optional<Long> finish(
      Session session, int groupId, Held held, Redelivery redelivery, Duration patience) {
    return bound(session.statement(FINISH_REDELIVERY), groupId, held)
        .bind("offset", redelivery.record().offset())
        .bind("id", redelivery.id())
        .bind("patienceMs", patience.toMillis())
        .list(row -> row.getLong(1))
        .stream()
        .findFirst();
  }

  static void awaitEnd(Session session, int groupId, int partition) {
    session
        .statement(AWAIT_END)
        .bind("groupId", groupId)
        .bind("partition", partition)
        .list(row -> row.getLong(1));
  }

  static boolean hasCommitted(Session session, int groupId, int partition, long id) {
    return !session
        .statement(HAS_COMMITTED)
        .bind("groupId", groupId)
        .bind("partition", partition)
        .bind("id", id)
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  static boolean isRedelivered(Session session, int groupId, Redelivery redelivery) {
    return !session
        .statement(IS_REDELIVERED)
        .bind("groupId", groupId)
        .bind("partition", redelivery.record().partition())
        .bind("offset", redelivery.record().offset())
        .bind("id", redelivery.id())
        .list(row -> row.getInt(1))
        .isEmpty();
  }

  private static Session.Rows bound(Session.Rows statement, int groupId, Held held) {
    return statement
        .bind("groupId", groupId)
        .bind("partition", held.partition())
        .bind("memberId", held.memberId())
        .bind("epoch", held.epoch());
  }
}
