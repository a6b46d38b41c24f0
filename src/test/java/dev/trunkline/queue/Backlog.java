package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import dev.trunkline.support.TestDatabase;

/** Fills the tables at once, past the library: what would take it minutes to send and claim. */
final class Backlog {
  private final TestDatabase database;
  private final int queueId;

  private Backlog(TestDatabase database, int queueId) {
    this.database = database;
    this.queueId = queueId;
  }

  /** A backlog of a queue, which is declared. */
  static Backlog of(TestDatabase database, String queue) {
    QueueName name = new QueueName(queue);
    Database connections = new Database(database.dataSource());
    connections.run(session -> QueueStore.declare(session, name, QueueConfig.defaults()));
    QueueRow row = connections.run(session -> QueueStore.find(session, name)).orElseThrow();
    return new Backlog(database, row.id());
  }

  int queueId() {
    return queueId;
  }

  /** Messages in runs of one, the worst case, from the next id on. Answers the first id. */
  long ready(int count) {
    long first = reserve(count);
    messages(first, count);
    database.execute(
        """
        INSERT INTO trunkline.ready (seq, queue_id, bytes, priority, ids)
        SELECT id, %d, 200, 5, ARRAY[id]
        FROM generate_series(%d, %d) AS id
        """
            .formatted(queueId, first, first + count - 1));
    tally("ready", count);
    return first;
  }

  /** Messages that are due at some time in the next ten days. */
  void scheduled(int count) {
    long first = reserve(count);
    messages(first, count);
    database.execute(
        """
        INSERT INTO trunkline.scheduled (id, due_at, queue_id, bytes, priority)
        SELECT id, now() + random() * interval '10 days', %d, 200, 5
        FROM generate_series(%d, %d) AS id
        """
            .formatted(queueId, first, first + count - 1));
    tally("scheduled", count);
  }

  /** Leases of ten messages each, of one process, that expire in a day. */
  void leases(int count) {
    long first = reserve(10 * count);
    messages(first, 10 * count);
    database.execute(
        """
        WITH holder AS (
          INSERT INTO trunkline.consumer (host, pid, heartbeat_timeout)
          VALUES ('somewhere', 1, '1 day')
          RETURNING id
        )
        INSERT INTO trunkline.lease (consumer_id, visible_at, queue_id, ids, deliveries, acquired)
        SELECT
          holder.id, now() + interval '1 day' + i * interval '1 second', %d,
          ARRAY(SELECT generate_series(%d + 10 * i, %d + 10 * i + 9)),
          array_fill(0, ARRAY[10]), array_fill(1, ARRAY[10])
        FROM holder
        CROSS JOIN generate_series(0, %d) AS i
        """
            .formatted(queueId, first, first, count - 1));
    tally("in_flight", 10 * count);
  }

  /** Rows that the maintenance has not folded; their sum is nothing. */
  void unfolded(int count) {
    database.execute(
        "INSERT INTO trunkline.tally (queue_id) SELECT %d FROM generate_series(1, %d)"
            .formatted(queueId, count));
  }

  /** Deletes the first messages that are ready, as if they had been claimed and acknowledged. */
  void settleReady(long first, int count) {
    String between = "BETWEEN %d AND %d".formatted(first, first + count - 1);
    database.execute("DELETE FROM trunkline.ready WHERE seq " + between);
    database.execute("DELETE FROM trunkline.message WHERE id " + between);
    tally("ready", -count);
  }

  private long reserve(int count) {
    return database.number(
            "SELECT setval('trunkline.message_id_seq', nextval('trunkline.message_id_seq') + %d)"
                .formatted(count))
        - count;
  }

  private void messages(long first, int count) {
    database.execute(
        """
        INSERT INTO trunkline.message (id, queue_id, priority, payload)
        SELECT id, %d, 5, 'payload'
        FROM generate_series(%d, %d) AS id
        """
            .formatted(queueId, first, first + count - 1));
  }

  private void tally(String state, int count) {
    database.execute(
        "INSERT INTO trunkline.tally (queue_id, %s, waiting_bytes) VALUES (%d, %d, %d)"
            .formatted(state, queueId, count, state.equals("in_flight") ? 0 : 200L * count));
  }
}
