package dev.trunkline.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.LeaseLostException;
import dev.trunkline.message.Message;
import dev.trunkline.support.Awaits;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.jdbi.v3.core.Jdbi;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Pulled records that are acked in a transaction of the caller's. */
class SharedAckInTransactionTest extends SharedGroupFixture {
  private static final Instant LATER = Instant.now().plus(Duration.ofHours(1));

  private SharedGroup billing;

  @BeforeEach
  void a_table_of_the_users() {
    database.execute("DROP TABLE IF EXISTS effect; CREATE TABLE effect (note text)");
    billing = billing();
  }

  private List<SharedDelivery> receive(int count) {
    for (int i = 0; i < count; i++) {
      topic.publish(Message.text(String.valueOf(i)).withKey("same"));
    }
    List<SharedDelivery> received = billing.receive(NOW);
    assertThat(received).hasSize(count);
    return received;
  }

  private Connection transaction() throws SQLException {
    Connection connection = database.connect();
    connection.setAutoCommit(false);
    return connection;
  }

  private static void effect(Connection caller, SharedDelivery delivery) throws SQLException {
    SharedTransactionalConsumeTest.effect(caller, delivery);
  }

  private long effects() {
    return database.number("SELECT count(*) FROM effect");
  }

  private long unsettled() {
    return billing.lag().stream().mapToLong(SharedLag::records).sum();
  }

  @Test
  void an_ack_and_the_callers_sql_commit_together() throws SQLException {
    SharedDelivery delivery = receive(1).get(0);
    try (Connection caller = transaction()) {
      delivery.ack(caller);
      effect(caller, delivery);
      assertThat(unsettled()).isEqualTo(1);
      caller.commit();
    }
    assertThat(unsettled()).isZero();
    assertThat(effects()).isEqualTo(1);
    assertThatThrownBy(delivery::ack).isInstanceOf(LeaseLostException.class);
  }

  @Test
  void an_ack_joins_the_transaction_of_a_handle() {
    SharedDelivery delivery = receive(1).get(0);
    Jdbi.create(database.dataSource()).useTransaction(delivery::ack);
    assertThat(unsettled()).isZero();
  }

  @Test
  void in_auto_commit_mode_the_ack_is_done_at_once() throws SQLException {
    SharedDelivery delivery = receive(1).get(0);
    try (Connection caller = database.connect()) {
      delivery.ack(caller);
    }
    assertThat(unsettled()).isZero();
  }

  @Test
  void after_a_rollback_the_delivery_is_as_it_was_and_can_be_settled() throws SQLException {
    List<SharedDelivery> batch = receive(2);
    try (Connection caller = transaction()) {
      batch.get(0).ack(caller);
      effect(caller, batch.get(0));
      caller.rollback();
    }
    assertThat(effects()).isZero();
    batch.get(0).retry();
    batch.get(1).ack();

    List<SharedDelivery> again = billing.receive(NOW);
    assertThat(texts(again)).containsExactly("0");
    assertThat(again.get(0).attempt()).isEqualTo(2);
    billing.ackAll(again);
    assertThat(unsettled()).isZero();
  }

  @Test
  void a_lost_lease_is_told_and_rolls_the_business_back() throws SQLException {
    SharedDelivery late = receive(1).get(0);
    reapAt(LATER);
    SharedDelivery second = billing.receive(NOW).get(0);
    try (Connection caller = transaction()) {
      effect(caller, late);
      assertThatThrownBy(() -> late.ack(caller)).isInstanceOf(LeaseLostException.class);
      caller.rollback();
    }
    try (Connection caller = transaction()) {
      second.ack(caller);
      effect(caller, second);
      caller.commit();
    }
    assertThat(effects()).isEqualTo(1);
    assertThat(unsettled()).isZero();
  }

  @Test
  void while_the_transaction_is_open_nobody_gets_the_record_however_late_it_is()
      throws SQLException {
    SharedDelivery delivery = receive(1).get(0);
    try (Connection caller = transaction()) {
      delivery.ack(caller);
      assertThat(reapAt(LATER)).isZero();
      assertThat(billing.receive(NOW)).isEmpty();
      caller.commit();
    }
    assertThat(reapAt(LATER)).isZero();
    assertThat(unsettled()).isZero();
  }

  @Test
  void a_settle_while_the_transaction_is_open_fails_rather_than_wait_for_itself()
      throws SQLException {
    List<SharedDelivery> batch = receive(2);
    try (Connection caller = transaction()) {
      batch.get(1).ack(caller);
      assertThatThrownBy(batch.get(1)::ack)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("has not ended");
      assertThatThrownBy(() -> batch.get(1).extend(Duration.ofMinutes(1)))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> billing.ackAll(batch)).isInstanceOf(IllegalStateException.class);
      batch.get(0).ack();
      caller.rollback();
    }
    batch.get(1).extend(Duration.ofMinutes(1));
    batch.get(1).ack();
    assertThat(unsettled()).isZero();
  }

  @Test
  void the_others_of_its_batch_are_settled_without_waiting() throws SQLException {
    List<SharedDelivery> batch = receive(4);
    try (Connection one = transaction();
        Connection other = transaction()) {
      batch.get(0).ack(one);
      batch.get(1).ack(other);
      batch.get(2).ack();
      batch.get(3).retry(Duration.ofDays(1));
      other.commit();
      one.rollback();
    }
    assertThat(count("shared_lease")).isEqualTo(1);
    batch.get(0).release();
    assertThat(texts(billing.receive(NOW))).containsExactly("0");
  }

  @Test
  void the_callers_settings_and_transaction_are_left_as_they_were() throws SQLException {
    SharedDelivery delivery = receive(1).get(0);
    try (Connection caller = transaction();
        var statement = caller.createStatement()) {
      statement.execute("SET LOCAL enable_bitmapscan = off");
      delivery.ack(caller);
      try (var row =
          statement.executeQuery(
              "SELECT current_setting('enable_seqscan') || current_setting('enable_bitmapscan')"
                  + " || current_setting('plan_cache_mode')")) {
        row.next();
        assertThat(row.getString(1)).isEqualTo("onoffauto");
      }
      assertThat(caller.getAutoCommit()).isFalse();
      assertThat(caller.isClosed()).isFalse();
      caller.commit();
    }
  }

  @Test
  void what_a_crash_of_the_server_put_back_into_the_lease_is_not_acked_with_it()
      throws SQLException {
    List<SharedDelivery> batch = receive(2);
    batch.get(1).retry(Duration.ofDays(1));
    // As if its commit, which does not wait for the disk, had not reached it.
    database.execute(
        """
        UPDATE trunkline.shared_lease l
        SET offsets = l.offsets || w."offset", ids = l.ids || w.record_id,
          deliveries = l.deliveries || 0, acquired = l.acquired || 1
        FROM trunkline.shared_waiting w;
        DELETE FROM trunkline.shared_waiting
        """);
    try (Connection caller = transaction()) {
      assertThatThrownBy(() -> batch.get(0).ack(caller)).isInstanceOf(LeaseLostException.class);
      caller.rollback();
    }
    assertThat(reapAt(LATER)).isEqualTo(1);
    assertThat(texts(billing.receive(NOW))).containsExactly("0", "1");
  }

  @Test
  void a_group_that_closes_meanwhile_leaves_the_record_to_the_transaction() throws SQLException {
    List<SharedDelivery> batch = receive(2);
    SharedGroup elsewhere = open().topic(topic.name()).sharedGroup("billing", CONFIG);
    try (Connection committed = transaction();
        Connection rolledBack = transaction()) {
      batch.get(0).ack(committed);
      batch.get(1).ack(rolledBack);
      billing.close();
      assertThat(elsewhere.receive(NOW)).isEmpty();
      committed.commit();
      rolledBack.rollback();
    }
    // Found by the silence of the member, long before its time is over.
    assertThat(texts(elsewhere.receive(PATIENTLY))).containsExactly("1");
    Awaits.until(() -> count("group_member") == 1);
  }
}
