package dev.trunkline.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.LeaseLostException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.jdbi.v3.core.Jdbi;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class AckInTransactionTest extends QueueFixture {

  @BeforeEach
  void a_table_of_the_users() {
    database.execute(
        "DROP TABLE IF EXISTS effect; CREATE TABLE effect (message_id bigint, note text)");
  }

  @Test
  void an_ack_and_the_callers_sql_commit_together() throws SQLException {
    send("order");
    Delivery delivery = receiveOne();
    try (Connection caller = transaction()) {
      delivery.ack(caller);
      TransactionalConsumeTest.effect(caller, delivery, "stored");
      assertThat(queue.stats().inFlight()).isEqualTo(1);
      caller.commit();
    }
    assertThat(queue.stats().acked()).isEqualTo(1);
    assertThat(effects()).isEqualTo(1);
    assertThat(count("message")).isZero();
  }

  @Test
  void an_ack_joins_the_transaction_of_a_handle() {
    send("order");
    Delivery delivery = receiveOne();
    Jdbi.create(database.dataSource()).useTransaction(delivery::ack);
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void after_a_rollback_the_delivery_is_as_it_was_and_can_be_settled() throws SQLException {
    sendAll("a", "b");
    List<Delivery> batch = queue.receive(2);
    try (Connection caller = transaction()) {
      batch.get(0).ack(caller);
      TransactionalConsumeTest.effect(caller, batch.get(0), "never");
      caller.rollback();
    }
    assertThat(effects()).isZero();
    batch.get(0).retry();
    batch.get(1).ack();
    assertThat(receiveOne().attempt()).isEqualTo(2);
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void a_lost_lease_is_told_and_rolls_the_business_back() throws SQLException {
    send("lost");
    Delivery late = receiveOne();
    expireAll();
    Delivery second = receiveOne();
    try (Connection caller = transaction()) {
      TransactionalConsumeTest.effect(caller, late, "twice");
      assertThatThrownBy(() -> late.ack(caller)).isInstanceOf(LeaseLostException.class);
      caller.rollback();
    }
    try (Connection caller = transaction()) {
      second.ack(caller);
      TransactionalConsumeTest.effect(caller, second, "once");
      caller.commit();
    }
    assertThat(database.texts("SELECT note FROM effect")).containsExactly("once");
    assertThatThrownBy(second::ack).isInstanceOf(LeaseLostException.class);
  }

  @Test
  void while_the_transaction_is_open_nobody_gets_the_message_however_late_it_is()
      throws SQLException {
    send("slow");
    Delivery delivery = receiveOne();
    try (Connection caller = transaction()) {
      delivery.ack(caller);
      assertThat(expireAll()).isZero();
      assertThat(queue.receive(1)).isEmpty();
      caller.commit();
    }
    assertThat(expireAll()).isZero();
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void a_settle_while_the_transaction_is_open_fails_rather_than_wait_for_itself()
      throws SQLException {
    send("both");
    Delivery delivery = receiveOne();
    try (Connection caller = transaction()) {
      delivery.ack(caller);
      assertThatThrownBy(delivery::ack)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("has not ended");
      assertThatThrownBy(() -> delivery.extend(Duration.ofMinutes(1)))
          .isInstanceOf(IllegalStateException.class);
      caller.rollback();
    }
    delivery.extend(Duration.ofMinutes(1));
    delivery.ack();
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  @Test
  void an_ack_of_many_that_is_refused_for_one_leaves_the_others_to_be_settled()
      throws SQLException {
    sendAll("a", "b");
    List<Delivery> batch = queue.receive(2);
    try (Connection caller = transaction()) {
      batch.get(1).ack(caller);
      assertThatThrownBy(() -> queue.ackAll(batch)).isInstanceOf(IllegalStateException.class);
      batch.get(0).ack();
      caller.commit();
    }
    assertThat(queue.stats().acked()).isEqualTo(2);
  }

  @Test
  void the_others_of_its_batch_are_settled_without_waiting() throws SQLException {
    sendNumbers(4);
    List<Delivery> batch = queue.receive(4);
    try (Connection one = transaction();
        Connection other = transaction()) {
      batch.get(0).ack(one);
      batch.get(1).ack(other);
      batch.get(2).ack();
      batch.get(3).retry(Duration.ofDays(1));
      other.commit();
      one.rollback();
    }
    assertThat(queue.stats().acked()).isEqualTo(2);
    assertThat(queue.stats().inFlight()).isEqualTo(1);
    batch.get(0).release();
    assertThat(queue.stats().ready()).isEqualTo(1);
  }

  @Test
  void the_callers_settings_and_transaction_are_left_as_they_were() throws SQLException {
    send("settings");
    Delivery delivery = receiveOne();
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
    sendAll("acked", "retried");
    List<Delivery> batch = queue.receive(2);
    batch.get(1).retry();
    undoTheRetryOf(batch.get(1));
    try (Connection caller = transaction()) {
      assertThatThrownBy(() -> batch.get(0).ack(caller)).isInstanceOf(LeaseLostException.class);
      caller.rollback();
    }
    assertThat(count("message")).isEqualTo(2);
    assertThat(expireAll()).isEqualTo(1);
    assertThat(texts(queue.receive(10))).containsExactlyInAnyOrder("acked", "retried");
  }

  /** As if its commit, which does not wait for the disk, had not reached it. */
  private void undoTheRetryOf(Delivery retried) {
    long id = retried.id().value();
    database.execute(
        """
        DELETE FROM trunkline.ready WHERE ids = ARRAY[%1$d::bigint];
        UPDATE trunkline.lease
        SET ids = ids || %1$d::bigint, deliveries = deliveries || 0, acquired = acquired || 1;
        INSERT INTO trunkline.tally (queue_id, waiting_bytes, ready, in_flight)
        SELECT queue_id, -octet_length(payload), -1, 1 FROM trunkline.message WHERE id = %1$d
        """
            .formatted(id));
  }

  @Test
  void in_auto_commit_mode_the_ack_is_done_at_once() throws SQLException {
    send("alone");
    try (Connection caller = database.connect()) {
      receiveOne().ack(caller);
    }
    assertThat(queue.stats().acked()).isEqualTo(1);
  }

  private Connection transaction() throws SQLException {
    Connection connection = database.connect();
    connection.setAutoCommit(false);
    return connection;
  }

  private long effects() {
    return database.number("SELECT count(*) FROM effect");
  }
}
