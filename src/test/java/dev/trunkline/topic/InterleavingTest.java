package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.MigrationMode;
import dev.trunkline.Trunkline;
import dev.trunkline.TrunklineConfig;
import dev.trunkline.queue.NotifyMode;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * The order of the log, whatever the order of what is done to it. Lists of moves are drawn by lot,
 * the same ones in each run but for the torture; the seed of one that fails is told, and a short
 * list that fails as well. {@code -Dtrunkline.interleavings.seed=n} plays that one alone.
 */
@PostgresTest
class InterleavingTest {
  private static final int MOVES = 150;
  private static final int PLAYS = 3;
  private static final int PLAYS_IN_TORTURE = 60;

  /** Transactions that have notified cannot be prepared. */
  private static final TrunklineConfig CONFIG =
      TrunklineConfig.defaults()
          .withMigrationMode(MigrationMode.OFF)
          .withUpkeep(false)
          .withNotifyMode(NotifyMode.OWN_TRANSACTIONS);

  private TestDatabase database;
  private Trunkline trunkline;

  @BeforeEach
  void open() {
    trunkline = Trunkline.open(database.dataSource(), CONFIG);
  }

  @AfterEach
  void close() {
    trunkline.close();
  }

  @Test
  void every_committed_record_has_one_place_for_ever_and_no_effect_comes_before_its_cause()
      throws SQLException {
    Long given = Long.getLong("trunkline.interleavings.seed");
    play(given == null ? 1 : given, given == null ? PLAYS : 1);
  }

  @Test
  @Tag("torture")
  void the_same_many_times() throws SQLException {
    play(ThreadLocalRandom.current().nextLong(1L << 40), PLAYS_IN_TORTURE);
  }

  private void play(long first, int plays) throws SQLException {
    for (long seed = first; seed < first + plays; seed++) {
      List<Move> moves = Move.plan(seed, MOVES);
      List<String> complaints = ofTheLog(moves);
      if (!complaints.isEmpty()) {
        assertThat(complaints).as("seed %d, for example %s", seed, shrunk(moves)).isEmpty();
      }
    }
  }

  private List<String> ofTheLog(List<Move> moves) throws SQLException {
    return Interleaving.play(trunkline, database, moves).ofTheLog();
  }

  /** A part of the moves that fails as well, found by leaving out ever smaller pieces. */
  private List<Move> shrunk(List<Move> moves) throws SQLException {
    List<Move> failing = moves;
    for (int piece = moves.size() / 2; piece > 0; piece /= 2) {
      for (int from = 0; from + piece <= failing.size(); ) {
        List<Move> fewer = new ArrayList<>(failing);
        fewer.subList(from, from + piece).clear();
        if (ofTheLog(fewer).isEmpty()) {
          from += piece;
        } else {
          failing = fewer;
        }
      }
    }
    return failing;
  }

  @Test
  void a_reader_that_asks_for_higher_ids_loses_records_in_the_same_plays() throws SQLException {
    assertThat(complaintsOf("id")).anyMatch(complaint -> complaint.startsWith("lost"));
  }

  @Test
  void a_reader_below_xmin_in_the_order_of_xids_puts_effects_before_causes_in_the_same_plays()
      throws SQLException {
    assertThat(complaintsOf("xmin"))
        .isNotEmpty()
        .allMatch(complaint -> complaint.startsWith("effect before cause"));
  }

  /** Of the first play that it does not stand. */
  private List<String> complaintsOf(String reader) throws SQLException {
    for (long seed = 1; seed <= 10; seed++) {
      List<String> complaints =
          Interleaving.play(trunkline, database, Move.plan(seed, MOVES))
              .ofTheNaive()
              .getOrDefault(reader, List.of());
      if (!complaints.isEmpty()) {
        return complaints;
      }
    }
    return List.of();
  }
}
