package dev.trunkline.benchmark;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * The limit of the machine for a log: the same rows into a bare table of the same columns with one
 * index, while as many readers page through it by id, two of them sharing the partitions as the two
 * members of a group do. It has no groups, no offsets and no order that could be relied on, and a
 * reader that passes the id of a transaction that is still open never sees its rows.
 */
final class BareLogContender implements Contender {
  private static final String CREATE =
      """
      CREATE TABLE bare_log (
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        source_at timestamptz NOT NULL DEFAULT now(),
        topic_id integer NOT NULL,
        partition integer NOT NULL,
        key text,
        type text,
        content_type text,
        headers jsonb,
        payload bytea
      )
      """;

  private static final String INSERT =
      """
      INSERT INTO bare_log (topic_id, partition, payload)
      SELECT 1, ?, unnest(?::bytea[])
      """;

  private static final String PAGE =
      """
      SELECT id, source_at, partition, key, type, content_type, headers, payload
      FROM bare_log
      WHERE id > ? AND partition = ANY (?::integer[])
      ORDER BY id
      LIMIT ?
      """;

  private static final int PARTITIONS = 4;
  private static final int[] FIRST_HALF = {0, 1};
  private static final int[] SECOND_HALF = {2, 3};

  private final Server server;
  private final Workload workload;
  private final Payloads payloads = new Payloads();
  private final AtomicLong numbers = new AtomicLong();
  private final AtomicInteger readers = new AtomicInteger();

  /** Where readers of a later slice begin: where the slowest of the one before has come to. */
  private final AtomicLong read = new AtomicLong();

  BareLogContender(Server server, Workload workload) {
    this.server = server;
    this.workload = workload;
    server.execute("DROP TABLE IF EXISTS bare_log");
    server.execute(CREATE);
  }

  @Override
  public String name() {
    return "bare table, %d readers".formatted(workload.copies());
  }

  @Override
  public Producer producer() throws SQLException {
    Connection connection = server.connection();
    PreparedStatement insert = connection.prepareStatement(INSERT);
    return new Producer() {
      @Override
      public void send() throws SQLException {
        long first = numbers.getAndAdd(workload.batch());
        byte[][] batch = new byte[workload.batch()][];
        for (int i = 0; i < batch.length; i++) {
          batch[i] = payloads.get(first + i);
        }
        insert.setInt(1, (int) (first / workload.batch() % PARTITIONS));
        insert.setObject(2, batch);
        insert.executeUpdate();
      }

      @Override
      public void close() throws SQLException {
        connection.close();
      }
    };
  }

  @Override
  public Consumer consumer() throws SQLException {
    Connection connection = server.connection();
    PreparedStatement page = connection.prepareStatement(PAGE);
    return new Consumer() {
      private final int[] half = readers.getAndIncrement() % 2 == 0 ? FIRST_HALF : SECOND_HALF;
      private long last = read.get();

      /** Counts ids, not rows: those that it has missed are not outstanding. */
      @Override
      public int take() throws SQLException {
        long before = last;
        page.setLong(1, last);
        page.setObject(2, half);
        page.setInt(3, workload.claim());
        try (ResultSet rows = page.executeQuery()) {
          while (rows.next()) {
            last = rows.getLong(1);
            rows.getBytes(8);
          }
        }
        if (last == before) {
          LockSupport.parkNanos(1_000_000);
        }
        return (int) (last - before);
      }

      @Override
      public void close() throws SQLException {
        read.accumulateAndGet(last, Math::max);
        connection.close();
      }
    };
  }

  @Override
  public void close() {
    server.execute("DROP TABLE IF EXISTS bare_log");
  }
}
