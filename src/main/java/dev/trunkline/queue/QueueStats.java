package dev.trunkline.queue;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * How many messages are in each state of a queue, exact at one moment and read without counting
 * them.
 *
 * @param ready may be claimed now
 * @param inFlight claimed and not settled
 * @param scheduled wait for their time: delayed or backing off
 * @param dead dead letters
 * @param sent messages ever sent
 * @param acked messages ever acknowledged
 * @param expired messages whose time was over before they were handled, dropped or dead
 * @param oldestReady how long ago the message at the head of the line was sent; empty if none is
 *     ready
 * @param waitingBytes payload bytes of what is ready or scheduled; some more while a batch that was
 *     sent together is claimed in parts
 * @param paused whether delivery is paused
 * @param fullness how much of its bound a bounded queue uses, of messages or bytes the larger: 1 is
 *     full; empty if it is not bounded
 * @param underPressure whether a bounded queue is as full as {@link Bounds#pressureAt}, or fuller
 */
public record QueueStats(
    long ready,
    long inFlight,
    long scheduled,
    long dead,
    long sent,
    long acked,
    long expired,
    long waitingBytes,
    Optional<Duration> oldestReady,
    boolean paused,
    OptionalDouble fullness,
    boolean underPressure) {

  static QueueStats of(ResultSet row) throws SQLException {
    long oldestMs = row.getLong("oldest_ready_ms");
    Optional<Duration> oldest =
        row.wasNull() ? Optional.empty() : Optional.of(Duration.ofMillis(Math.max(0, oldestMs)));
    long ready = row.getLong("ready");
    long scheduled = row.getLong("scheduled");
    long waitingBytes = row.getLong("waiting_bytes");
    Optional<Bounds> bounds = QueueRow.bounds(row);
    OptionalDouble fullness =
        bounds
            .map(b -> OptionalDouble.of(b.fullness(new Depth(ready + scheduled, waitingBytes))))
            .orElseGet(OptionalDouble::empty);
    return new QueueStats(
        ready,
        row.getLong("in_flight"),
        scheduled,
        row.getLong("dead"),
        row.getLong("sent"),
        row.getLong("acked"),
        row.getLong("expired"),
        waitingBytes,
        oldest,
        row.getBoolean("paused"),
        fullness,
        bounds.isPresent() && fullness.orElseThrow() >= bounds.get().pressureAt());
  }
}
