package dev.trunkline.queue;

import dev.trunkline.internal.db.Session;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** What is asked of a claim by turns, and what it answers. */
final class KeyedClaim {
  private KeyedClaim() {}

  /** What one claim is asked for. */
  record Request(
      int queueId,
      long consumerId,
      long visibilityTimeoutMs,
      int maxMessages,
      long maxBytes,
      Depth depth) {

    Session.Rows bound(Session.Rows statement, Lanes.Attempt attempt) {
      return statement
          .bind("queueId", queueId)
          .bind("consumerId", consumerId)
          .bind("visibilityTimeoutMs", visibilityTimeoutMs)
          .bind("maxMessages", maxMessages)
          .bind("maxBytes", maxBytes)
          .bind("maxTurns", depth.maxTurns())
          .bind("maxPerKey", depth.maxPerKey())
          .bindArray("priorities", attempt.priorities())
          .bindArray("froms", attempt.froms())
          .bindArray("tos", attempt.tos());
    }
  }

  /**
   * How far it looks.
   *
   * @param maxTurns turns that are taken up
   * @param maxPerKey messages of a key
   * @param everything whether lines whose order is not promised are looked at from their very
   *     beginning, or from where the batons say
   */
  record Depth(int maxTurns, int maxPerKey, boolean everything) {}

  /** What became of a turn. */
  enum Fate {
    /** It is over. */
    DONE,

    /** It is where it was, and worth another look. */
    LEFT,

    /** It is where it was, and its line is empty. */
    EMPTY,

    /** It waits until the head of its line is due. */
    LATER,

    /** A new one, at the end of the turns. */
    NEXT
  }

  /** A turn that was taken up. */
  record Turn(long seq, Fate fate, long dueInMs) {}

  /**
   * A row of the answer: a message that was claimed, or a turn.
   *
   * @param walked messages of its key that were claimed since it was known where the line begins
   */
  record Found(ClaimStore.@Nullable Claimed message, @Nullable Turn turn, int walked) {

    static Found of(ResultSet row) throws SQLException {
      String fate = row.getString("fate");
      if (fate != null) {
        return new Found(
            null,
            new Turn(
                row.getLong("seq"),
                switch (fate) {
                  case "done" -> Fate.DONE;
                  case "left" -> Fate.LEFT;
                  case "empty" -> Fate.EMPTY;
                  case "later" -> Fate.LATER;
                  case "next" -> Fate.NEXT;
                  default -> throw new SQLException("unknown fate: " + fate);
                },
                row.getLong("due_in_ms")),
            0);
      }
      return new Found(
          new ClaimStore.Claimed(
              row.getLong("lease_id"),
              row.getLong("hidden_for_ms"),
              0,
              0,
              row.getLong("position"),
              new Lanes.Taken(0, 0, true),
              row.getLong("id"),
              row.getInt("deliveries"),
              row.getInt("acquired"),
              ClaimStore.expiresInMicros(row),
              row.getBoolean("present") ? MessageRow.of(row, row.getInt("priority")) : null),
          null,
          row.getInt("walked"));
    }
  }
}
