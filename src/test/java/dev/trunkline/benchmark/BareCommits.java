package dev.trunkline.benchmark;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * What a commit takes on this machine and its disk, whoever asks for it: one row into a bare table,
 * at the pace and by the number of threads that the messages are sent. Not thread-safe.
 */
final class BareCommits {
  private static final String CREATE =
      """
      CREATE TABLE IF NOT EXISTS bare_commit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payload bytea NOT NULL
      )
      """;

  private static final String INSERT = "INSERT INTO bare_commit (payload) VALUES (?)";

  private final Server server;
  private final SteadyPace pace;
  private final Payloads payloads = new Payloads();
  private final ConcurrentLinkedQueue<Long> nanos = new ConcurrentLinkedQueue<>();

  BareCommits(Server server, SteadyPace pace) {
    this.server = server;
    this.pace = pace;
  }

  /** Some more of them. */
  void measure(int count) throws Exception {
    server.execute(CREATE);
    pace.run(
        count,
        number -> {
          try (Connection connection = server.connection();
              PreparedStatement insert = connection.prepareStatement(INSERT)) {
            insert.setBytes(1, payloads.get(number));
            long begin = System.nanoTime();
            insert.execute();
            nanos.add(System.nanoTime() - begin);
          }
        });
  }

  Quantiles all() {
    Quantiles all = new Quantiles(nanos.size());
    nanos.forEach(all::add);
    return all;
  }
}
