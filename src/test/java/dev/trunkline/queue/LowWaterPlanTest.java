package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.internal.db.Database;
import dev.trunkline.internal.db.Notifications;
import dev.trunkline.message.Message;
import dev.trunkline.support.Plans;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * The low-water rule: while an old snapshot is held, what was claimed stays in the index, dead, and
 * no claim may walk it.
 */
@PostgresTest
class LowWaterPlanTest {
  private static final int DEAD = 200_000;

  private TestDatabase database;

  @Test
  void a_claim_begins_where_the_living_begin_whatever_died_below_under_a_held_snapshot()
      throws SQLException {
    Backlog backlog = Backlog.of(database, "low-water");
    Database pool = new Database(database.dataSource());
    Engine engine =
        new Engine(
                pool,
                new Notifications(pool),
                QueuesConfig.defaults(),
                dev.trunkline.event.TrunklineListener.NONE)
            .start();
    try (Connection holder = database.connect();
        Plans plans = new Plans(database.connect())) {
      QueueRow row = row(engine);
      long first = backlog.ready(DEAD + 2_000);
      holdSnapshot(holder);
      backlog.settleReady(first, DEAD);
      Queue queue = new Queue(engine, row);
      Claimer claimer = new Claimer(engine, row);
      int drained = 0;
      while (drained < 2_000) {
        List<Delivery> claimed =
            claimer.claim(1_000, Long.MAX_VALUE, Optional.empty()).deliveries();
        queue.ackAll(claimed);
        drained += claimed.size();
      }
      queue.sendAll(IntStream.range(0, 200).mapToObj(i -> Message.text("living")).toList());

      Lanes lanes = engine.signals().lanes(backlog.queueId());
      Lanes.Attempt attempt = lanes.begin();
      lanes.failed();
      plans.prepare("claim", Plans.sql(ClaimStore.class, "CLAIM"));
      Map<String, String> hinted = values(engine, backlog, attempt);
      Map<String, String> unhinted = new HashMap<>(hinted);
      unhinted.put("froms", literal(new long[attempt.froms().length]));

      // A hundred dead entries or so lead to one page.
      assertThat(plans.buffers("claim", unhinted)).as("from zero").isGreaterThan(2_500);
      assertThat(plans.buffers("claim", hinted)).as("from the hints").isBetween(1L, 500L);
      queue.ackAll(queue.receive(1_000));
    } finally {
      engine.close(() -> {});
    }
  }

  private static QueueRow row(Engine engine) {
    return engine
        .database()
        .run(session -> QueueStore.find(session, new QueueName("low-water")))
        .orElseThrow();
  }

  private static void holdSnapshot(Connection holder) throws SQLException {
    holder.setAutoCommit(false);
    holder.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    try (Statement statement = holder.createStatement()) {
      statement.execute("SELECT pg_current_xact_id()");
    }
  }

  private static Map<String, String> values(Engine engine, Backlog backlog, Lanes.Attempt attempt) {
    long[] priorities = new long[attempt.priorities().length];
    for (int i = 0; i < priorities.length; i++) {
      priorities[i] = attempt.priorities()[i];
    }
    Map<String, String> values = new HashMap<>();
    values.put("priorities", literal(priorities));
    values.put("froms", literal(attempt.froms()));
    values.put("tos", literal(attempt.tos()));
    values.put("queueId", String.valueOf(backlog.queueId()));
    values.put("consumerId", String.valueOf(engine.consumer().id()));
    values.put("visibilityTimeoutMs", "-1");
    values.put("maxMessages", "100");
    values.put("maxRuns", "100");
    values.put("maxBytes", "1000000");
    return values;
  }

  private static String literal(long[] numbers) {
    return "'{" + String.join(",", Arrays.stream(numbers).mapToObj(Long::toString).toList()) + "}'";
  }
}
