package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.OptionalLong;

/** Who is the active consumer of a queue that is for one at a time. */
final class ElectionStore {
  private ElectionStore() {}

  /** Answers nothing if this process has been declared dead. */
  private static final String STAND =
      """
      INSERT INTO trunkline.candidate (queue_id, consumer_id, takeover_priority)
      SELECT :queueId, id, :takeoverPriority
      FROM trunkline.consumer
      WHERE id = :consumerId
      RETURNING id
      """;

  /**
   * How things stand, for one candidate. A candidate lives as long as the row of its process; the
   * reaper deletes that when it has taken back what the process held. Indexes: candidate_queue_idx,
   * and the end of the activations' primary key.
   */
  private static final String LOOK =
      """
      WITH living AS MATERIALIZED (
        SELECT c.id, c.takeover_priority
        FROM trunkline.candidate c
        WHERE c.queue_id = :queueId
          AND EXISTS (SELECT 1 FROM trunkline.consumer WHERE consumer.id = c.consumer_id)
      ), newest AS MATERIALIZED (
        SELECT a.epoch, a.candidate_id
        FROM trunkline.activation a
        WHERE a.queue_id = :queueId
        ORDER BY a.epoch DESC
        LIMIT 1
      )
      SELECT
        EXISTS (SELECT 1 FROM living WHERE id = :candidateId) AS lives,
        coalesce((
          SELECT newest.epoch FROM newest JOIN living ON living.id = newest.candidate_id), 0) AS epoch,
        coalesce((SELECT candidate_id FROM newest), 0) = :candidateId AS mine,
        coalesce((
          SELECT id FROM living ORDER BY takeover_priority DESC, id LIMIT 1), 0) = :candidateId AS next,
        EXISTS (
          SELECT 1
          FROM living better
          JOIN living me ON me.id = :candidateId
          WHERE better.takeover_priority > me.takeover_priority) AS outranked
      """;

  /**
   * Makes the candidate the active one, if the place is free and no other living candidate goes
   * before it.
   *
   * <p>Two statements: the first waits for the queue's lock, under which claims run, so that none
   * is half-way; the second, with a newer snapshot, looks again and writes the next epoch. Answers
   * that, or nothing.
   */
  private static final String TAKE_OVER =
      """
      SELECT pg_advisory_xact_lock(:lock, :queueId);

      WITH living AS MATERIALIZED (
        SELECT c.id, c.takeover_priority
        FROM trunkline.candidate c
        WHERE c.queue_id = :queueId
          AND EXISTS (SELECT 1 FROM trunkline.consumer WHERE consumer.id = c.consumer_id)
      ), newest AS MATERIALIZED (
        SELECT a.epoch, a.candidate_id
        FROM trunkline.activation a
        WHERE a.queue_id = :queueId
        ORDER BY a.epoch DESC
        LIMIT 1
      )
      INSERT INTO trunkline.activation (queue_id, epoch, candidate_id)
      SELECT :queueId, coalesce((SELECT epoch FROM newest), 0) + 1, :candidateId
      WHERE NOT EXISTS (SELECT 1 FROM newest JOIN living ON living.id = newest.candidate_id)
        AND :candidateId = (SELECT id FROM living ORDER BY takeover_priority DESC, id LIMIT 1)
      ON CONFLICT DO NOTHING
      RETURNING epoch
      """;

  /**
   * Steps down for a candidate that goes before this one, once nothing of the queue is held by this
   * process any more. Under the lock, as TAKE_OVER. Answers nothing if something is.
   */
  private static final String STEP_DOWN =
      """
      SELECT pg_advisory_xact_lock(:lock, :queueId);

      DELETE FROM trunkline.candidate c
      WHERE c.id = :candidateId
        AND NOT EXISTS (
          SELECT 1
          FROM trunkline.lease l
          WHERE l.consumer_id = c.consumer_id AND l.queue_id = :queueId)
      RETURNING c.id
      """;

  private static final String WITHDRAW =
      """
      DELETE FROM trunkline.candidate
      WHERE id = :candidateId
      RETURNING id
      """;

  /**
   * How things stand for a candidate.
   *
   * @param lives whether it is still one
   * @param epoch of the activation whose candidate lives; 0 if the place is free
   * @param mine whether the newest activation is its own
   * @param next whether it is the one to take over
   * @param outranked whether another has a higher priority
   */
  record Standing(boolean lives, long epoch, boolean mine, boolean next, boolean outranked) {}

  static OptionalLong stand(Session session, int queueId, long consumerId, int takeoverPriority) {
    return session
        .statement(STAND)
        .bind("queueId", queueId)
        .bind("consumerId", consumerId)
        .bind("takeoverPriority", takeoverPriority)
        .list(row -> row.getLong(1))
        .stream()
        .mapToLong(Long::longValue)
        .findFirst();
  }

  static Standing look(Session session, int queueId, long candidateId) {
    return session
        .relaxed(LOOK)
        .bind("queueId", queueId)
        .bind("candidateId", candidateId)
        .list(
            row ->
                new Standing(
                    row.getBoolean("lives"),
                    row.getLong("epoch"),
                    row.getBoolean("mine"),
                    row.getBoolean("next"),
                    row.getBoolean("outranked")))
        .get(0);
  }

  static OptionalLong takeOver(Session session, int queueId, long candidateId) {
    return session
        .second(TAKE_OVER)
        .bind("lock", FlowStore.LOCK)
        .bind("queueId", queueId)
        .bind("candidateId", candidateId)
        .list(row -> row.getLong(1))
        .stream()
        .mapToLong(Long::longValue)
        .findFirst();
  }

  static boolean stepDown(Session session, int queueId, long candidateId) {
    return !session
        .second(STEP_DOWN)
        .bind("lock", FlowStore.LOCK)
        .bind("queueId", queueId)
        .bind("candidateId", candidateId)
        .list(row -> row.getLong(1))
        .isEmpty();
  }

  static void withdraw(Session session, long candidateId) {
    session.statement(WITHDRAW).bind("candidateId", candidateId).run();
  }
}
