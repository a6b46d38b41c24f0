package dev.trunkline.benchmark;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * The limit of the machine: the same payloads into a bare table in the same batches, and out again
 * by their ids, which are handed over in memory. No claim, no lease, no order, and who dies loses
 * what was handed over. Each thread keeps a connection and two prepared statements.
 */
final class BareContender implements Contender {
  private static final String CREATE =
      """
      CREATE TABLE %s (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payload bytea NOT NULL
      )
      """;

  private static final String INSERT =
      """
      INSERT INTO %s (payload)
      SELECT unnest(?::bytea[])
      RETURNING id
      """;

  private static final String INSERT_ONE =
      """
      INSERT INTO %s (payload)
      VALUES (?)
      RETURNING id
      """;

  private static final String DELETE =
      """
      DELETE FROM %s
      WHERE id = ANY (?::bigint[])
      """;

  private final Server server;
  private final Workload workload;
  private final boolean synchronousDelete;
  private final String table;
  private final Payloads payloads = new Payloads();
  private final AtomicLong numbers = new AtomicLong();
  private final BlockingQueue<long[]> handedOver;

  BareContender(Server server, Workload workload, boolean synchronousDelete) throws SQLException {
    this.server = server;
    this.workload = workload;
    this.synchronousDelete = synchronousDelete;
    this.table = synchronousDelete ? "bare" : "bare_async";
    this.handedOver = new ArrayBlockingQueue<>(workload.window() / workload.batch());
    server.execute("DROP TABLE IF EXISTS " + table);
    server.execute(CREATE.formatted(table));
  }

  @Override
  public String name() {
    return synchronousDelete ? "bare table" : "bare table, asynchronous delete";
  }

  @Override
  public Producer producer() throws SQLException {
    Connection connection = server.connection();
    PreparedStatement insert =
        connection.prepareStatement((workload.batch() == 1 ? INSERT_ONE : INSERT).formatted(table));
    return new Producer() {
      @Override
      public void send() throws SQLException, InterruptedException {
        long first = numbers.getAndAdd(workload.batch());
        if (workload.batch() == 1) {
          insert.setBytes(1, payloads.get(first));
        } else {
          byte[][] batch = new byte[workload.batch()][];
          for (int i = 0; i < batch.length; i++) {
            batch[i] = payloads.get(first + i);
          }
          insert.setObject(1, batch);
        }
        long[] ids = new long[workload.batch()];
        try (ResultSet rows = insert.executeQuery()) {
          for (int i = 0; rows.next(); i++) {
            ids[i] = rows.getLong(1);
          }
        }
        handedOver.put(ids);
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
    // Autocommit, so this holds for the session: it is said both ways, since the pool hands
    // sessions on.
    set(connection, "SET synchronous_commit = " + (synchronousDelete ? "on" : "off"));
    PreparedStatement delete = connection.prepareStatement(DELETE.formatted(table));
    return new Consumer() {
      @Override
      public int take() throws SQLException, InterruptedException {
        long[] ids = gather();
        if (ids.length > 0) {
          delete.setObject(1, ids);
          delete.executeUpdate();
        }
        return ids.length;
      }

      @Override
      public void close() throws SQLException {
        set(connection, "RESET synchronous_commit");
        connection.close();
      }
    };
  }

  private static void set(Connection connection, String setting) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(setting);
    }
  }

  /** As many batches as make a full claim, as long as they come. */
  private long[] gather() throws InterruptedException {
    long[] ids = new long[workload.claim()];
    int count = 0;
    while (count + workload.batch() <= ids.length) {
      long @Nullable [] batch = handedOver.poll(Consumer.WAIT.toMillis(), TimeUnit.MILLISECONDS);
      if (batch == null) {
        break;
      }
      System.arraycopy(batch, 0, ids, count, batch.length);
      count += batch.length;
    }
    return Arrays.copyOf(ids, count);
  }

  @Override
  public void close() {
    server.execute("DROP TABLE IF EXISTS " + table);
  }
}
