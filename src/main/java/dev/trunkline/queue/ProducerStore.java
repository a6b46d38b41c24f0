package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** Statements of named producers: open, hold, advance. */
final class ProducerStore {
  private ProducerStore() {}

  /**
   * Makes the producer, or its next epoch. Waits for transactions that hold the epoch before.
   * Answers nothing if the queue was deleted.
   */
  private static final String OPEN =
      """
      INSERT INTO trunkline.producer (queue_id, name)
      SELECT id, :name
      FROM trunkline.queue
      WHERE id = :queueId AND deleted_at IS NULL
      ON CONFLICT (queue_id, name) DO UPDATE
      SET epoch = producer.epoch + 1, opened_at = now()
      RETURNING id, epoch
      """;

  /**
   * Holds the epoch until the transaction ends, if it is still the newest: sends of one producer
   * come one after the other, and the next epoch after them. Changes nothing about the row. Index:
   * producer_pkey.
   */
  private static final String HOLD =
      """
      SELECT id
      FROM trunkline.producer
      WHERE id = :producerId AND epoch = :epoch
      FOR UPDATE
      """;

  /**
   * How far the producer has come, as a statement of its own behind HOLD: it sees what those that
   * HOLD has waited for have committed. Answers nothing if the producer is gone. One step from the
   * end of producer_progress_pkey.
   */
  private static final String STANDING =
      """
      SELECT
        producer.epoch,
        current_setting('transaction_isolation') AS isolation,
        coalesce((
          SELECT progress.sequence
          FROM trunkline.producer_progress progress
          WHERE progress.producer_id = producer.id
          ORDER BY progress.sequence DESC
          LIMIT 1), -1) AS last_sequence
      FROM trunkline.producer
      WHERE producer.id = :producerId
      """;

  private static final String ADVANCE =
      """
      INSERT INTO trunkline.producer_progress (producer_id, sequence)
      VALUES (:producerId, :sequence)
      RETURNING sequence
      """;

  /** A producer that was opened. */
  record Opened(long id, long epoch) {}

  /**
   * How things stand with a producer.
   *
   * @param epoch the newest
   * @param last the last sequence sent, or -1
   */
  record Standing(long epoch, String isolation, long last) {
    static Standing of(ResultSet row) throws SQLException {
      return new Standing(
          row.getLong("epoch"), row.getString("isolation"), row.getLong("last_sequence"));
    }

    OptionalLong lastSequence() {
      return last < 0 ? OptionalLong.empty() : OptionalLong.of(last);
    }
  }

  static Optional<Opened> open(Session session, int queueId, String name) {
    return session
        .durable(OPEN)
        .bind("queueId", queueId)
        .bind("name", name)
        .list(row -> new Opened(row.getLong("id"), row.getLong("epoch")))
        .stream()
        .findFirst();
  }

  /** Holds the epoch if it is the newest, and answers how things stand. */
  static Optional<Standing> hold(Session session, Opened producer) {
    return session
        .pinnedPair(HOLD, STANDING)
        .bind("producerId", producer.id())
        .bind("epoch", producer.epoch())
        .list(Standing::of)
        .stream()
        .findFirst();
  }

  static Optional<Standing> standing(Session session, Opened producer) {
    List<Standing> found =
        session.relaxed(STANDING).bind("producerId", producer.id()).list(Standing::of);
    return found.stream().findFirst();
  }

  static void advance(Session session, Opened producer, long sequence) {
    session.durable(ADVANCE).bind("producerId", producer.id()).bind("sequence", sequence).run();
  }
}
