package dev.trunkline.topic;

import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/**
 * One move of an interleaving. A move that makes no sense where it comes is passed over, so that
 * any part of a list of moves is one, too.
 *
 * @param actor which transaction, process or reader: reduced to how many there are
 * @param value whatever else has to be decided
 */
record Move(Kind kind, int actor, int value) {

  /** What is done, and how often it is among a hundred moves, about. */
  enum Kind {
    /** A transaction gets its xid and publishes nothing yet. */
    GET_XID(6),
    PUBLISH(28),
    /** One that is cut into several segments. */
    PUBLISH_MANY(2),
    SAVEPOINT(6),
    ROLLBACK_TO_SAVEPOINT(4),
    COMMIT(13),
    ABORT(4),
    PREPARE(4),
    COMMIT_PREPARED(3),
    ROLLBACK_PREPARED(1),
    STEP(10),
    /** A step that has done its work and is not committed yet. */
    BEGIN_STEP(3),
    COMMIT_STEP(4),
    /** As if its process died. */
    ABORT_STEP(1),
    READ(14),
    /** From somewhere in the middle. */
    READ_AGAIN(3),
    /** Ids come from the next chunk. */
    CLOSE_CHUNK(1);

    private final int weight;

    Kind(int weight) {
      this.weight = weight;
    }
  }

  /** A list of moves; the same for the same seed. */
  static List<Move> plan(long seed, int length) {
    SplittableRandom random = new SplittableRandom(seed);
    int weights = Stream.of(Kind.values()).mapToInt(kind -> kind.weight).sum();
    return Stream.generate(
            () ->
                new Move(
                    drawn(random.nextInt(weights)),
                    random.nextInt(1 << 20),
                    random.nextInt(1 << 20)))
        .limit(length)
        .toList();
  }

  private static Kind drawn(int lot) {
    int left = lot;
    for (Kind kind : Kind.values()) {
      left -= kind.weight;
      if (left < 0) {
        return kind;
      }
    }
    throw new IllegalArgumentException("lot must be below the sum of the weights: " + lot);
  }
}
