package dev.trunkline.queue;

import dev.trunkline.internal.db.Database;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;

/**
 * This process's row in {@code trunkline.consumer}. Thread-safe.
 *
 * <p>A process that was silent for too long (a long pause of the virtual machine, a network cut)
 * has been declared dead: its row and its leases are gone. It registers again under a new id and
 * goes on.
 */
final class ConsumerIdentity {
  private final Database database;
  private final Duration heartbeatTimeout;
  private volatile long id;

  ConsumerIdentity(Database database, Duration heartbeatTimeout) {
    this.database = database;
    this.heartbeatTimeout = heartbeatTimeout;
  }

  /** Inserts a row, with a first heartbeat. */
  void register() {
    id =
        database.run(
            session ->
                ConsumerStore.register(
                    session, host(), ProcessHandle.current().pid(), heartbeatTimeout));
  }

  /** Deletes the row. */
  void unregister() {
    long gone = id;
    database.run(session -> ConsumerStore.remove(session, gone));
  }

  /** The id that leases are taken under. */
  long id() {
    return id;
  }

  private static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "unknown";
    }
  }
}
