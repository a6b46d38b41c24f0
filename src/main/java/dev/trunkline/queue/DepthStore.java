package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.util.Map;
import java.util.stream.Collectors;

/** How much waits in bounded queues, and making room in them. */
final class DepthStore {
  private DepthStore() {}

  /**
   * What waits, without counting: sums the tally, a few rows per queue and those of the last
   * second. Sees what the caller's own transaction has added. Takes no lock, so two senders may
   * each see the room that is enough for one. Index: the tally's primary key, from a hint on.
   */
  private static final String DEPTH =
      """
      SELECT
        queue_id,
        sum(ready::bigint + scheduled) AS messages,
        sum(waiting_bytes) AS bytes
      FROM trunkline.tally
      WHERE id >= :tallyFrom AND queue_id = ANY (:queueIds::integer[])
      GROUP BY queue_id
      """;

  /** The SQL that trunkline.send calls, too. */
  private static final String MAKE_ROOM =
      """
      SELECT trunkline.make_room(:queueId, :messages, :bytes)
      """;

  /** On any connection. */
  static Depth depth(Session session, int queueId, long tallyFrom) {
    return depths(session, new int[] {queueId}, tallyFrom).getOrDefault(queueId, new Depth(0, 0));
  }

  /** Queues in which nothing has ever been are missing. */
  static Map<Integer, Depth> depths(Session session, int[] queueIds, long tallyFrom) {
    return session
        .pinned(DEPTH)
        .bind("tallyFrom", tallyFrom)
        .bindArray("queueIds", queueIds)
        .list(
            row ->
                Map.entry(
                    row.getInt("queue_id"),
                    new Depth(row.getLong("messages"), row.getLong("bytes"))))
        .stream()
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }

  /** Makes so much room by dead letters; answers whether it could. If not, nothing has changed. */
  static boolean makeRoom(Session session, int queueId, Depth excess) {
    return session
        .statement(MAKE_ROOM)
        .bind("queueId", queueId)
        .bind("messages", excess.messages())
        .bind("bytes", excess.bytes())
        .list(row -> row.getBoolean(1))
        .get(0);
  }
}
