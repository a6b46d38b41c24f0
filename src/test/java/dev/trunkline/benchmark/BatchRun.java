package dev.trunkline.benchmark;

import dev.trunkline.Trunkline;
import dev.trunkline.message.Message;
import dev.trunkline.queue.Queue;
import dev.trunkline.queue.QueueConfig;
import java.nio.ByteBuffer;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;

/**
 * 100,000 messages in one call, against COPY of the same rows into a table of the same columns and
 * indexes. The two take turns.
 */
final class BatchRun {
  private static final int MESSAGES = 100_000;
  private static final int TURNS = 5;
  private static final int ROWS_PER_WRITE = 500;

  private static final byte[] COPY_HEADER = {
    'P', 'G', 'C', 'O', 'P', 'Y', '\n', (byte) 0xff, '\r', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0
  };

  private final Server server;
  private final Payloads payloads = new Payloads();

  BatchRun(Server server) {
    this.server = server;
  }

  Report run() throws Exception {
    List<Message> messages = new ArrayList<>(MESSAGES);
    for (int i = 0; i < MESSAGES; i++) {
      messages.add(Message.bytes(payloads.get(i)));
    }
    Quantiles sends = new Quantiles(TURNS);
    Quantiles copies = new Quantiles(TURNS);
    try (Trunkline trunkline = Trunkline.open(server.pool())) {
      Queue queue =
          trunkline.queue("batch-" + ProcessHandle.current().pid(), QueueConfig.defaults());
      server.execute("DROP TABLE IF EXISTS bare_message");
      server.execute(
          "CREATE TABLE bare_message (LIKE trunkline.message INCLUDING DEFAULTS INCLUDING INDEXES)");
      try {
        for (int turn = -1; turn < TURNS; turn++) {
          long begin = System.nanoTime();
          queue.sendAll(messages);
          long sent = System.nanoTime();
          copy(queue);
          long copied = System.nanoTime();
          if (turn >= 0) {
            sends.add(sent - begin);
            copies.add(copied - sent);
          }
          queue.purge();
          server.execute("TRUNCATE bare_message");
          server.execute("VACUUM trunkline.message, trunkline.ready");
        }
      } finally {
        server.execute("DROP TABLE IF EXISTS bare_message");
        queue.delete();
      }
    }
    return report(sends, copies);
  }

  private static Report report(Quantiles sends, Quantiles copies) {
    Report report = new Report("queue-batch");
    report.line(
        "%,d messages of %d bytes in one transaction, %d turns", MESSAGES, Payloads.BYTES, TURNS);
    report.line("");
    report.row("ms", "median", "min", "max");
    report.row("sendAll", sends.millis(0.5), sends.millis(0), sends.millis(1));
    report.row("COPY", copies.millis(0.5), copies.millis(0), copies.millis(1));
    return report
        .number("sendAllMs", sends.millis(0.5), 0)
        .number("copyMs", copies.millis(0.5), 0)
        .number("sendAllRate", MESSAGES * 1e3 / sends.millis(0.5), 0)
        .number("copyRate", MESSAGES * 1e3 / copies.millis(0.5), 0)
        .number("ratio", copies.millis(0.5) / sends.millis(0.5), 3);
  }

  /**
   * In the binary format, the fastest there is: queue, priority and payload; the rest is default.
   */
  private void copy(Queue queue) throws SQLException {
    int queueId =
        server
            .query(
                "SELECT id FROM trunkline.queue WHERE name = '" + queue.name() + "'",
                row -> row.getInt(1))
            .get(0);
    try (Connection connection = server.connection()) {
      CopyIn copy =
          connection
              .unwrap(PGConnection.class)
              .getCopyAPI()
              .copyIn(
                  "COPY bare_message (queue_id, priority, content_type, payload) FROM STDIN (FORMAT binary)");
      write(copy, ByteBuffer.wrap(COPY_HEADER).position(COPY_HEADER.length));
      ByteBuffer rows = ByteBuffer.allocate(ROWS_PER_WRITE * (40 + Payloads.BYTES));
      for (int i = 0; i < MESSAGES; i++) {
        byte[] payload = payloads.get(i);
        rows.putShort((short) 4).putInt(4).putInt(queueId).putInt(2).putShort((short) 0).putInt(-1);
        rows.putInt(payload.length).put(payload);
        if ((i + 1) % ROWS_PER_WRITE == 0) {
          write(copy, rows);
        }
      }
      write(copy, rows.putShort((short) -1));
      copy.endCopy();
    }
  }

  private static void write(CopyIn copy, ByteBuffer bytes) throws SQLException {
    copy.writeToCopy(bytes.array(), 0, bytes.position());
    bytes.clear();
  }
}
