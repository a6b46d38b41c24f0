package dev.trunkline.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.trunkline.error.TopicNotFoundException;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.SQLException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class OrderServiceTest {
  private static final Order ORDER = new Order("A-1", "ada", "book", 1, new BigDecimal("9.50"));

  private final TestDatabase database;
  private Services services;
  private OrderService orders;

  OrderServiceTest(TestDatabase database) {
    this.database = database;
  }

  @BeforeEach
  void open() throws SQLException {
    database.execute("DROP SCHEMA IF EXISTS trunkline_demo CASCADE");
    try (Connection connection = database.connect()) {
      DemoSchemaStore.create(connection);
    }
    services = Services.open(database.dataSource());
    orders = new OrderService(database.dataSource(), services.topic(), 1);
  }

  @AfterEach
  void close() {
    services.stop();
  }

  @Test
  void an_order_and_one_event_are_committed_together() throws SQLException {
    assertThat(orders.place(ORDER)).isEqualTo(Placement.ACCEPTED);

    assertThat(database.number("SELECT count(*) FROM trunkline_demo.orders")).isEqualTo(1);
    assertThat(database.texts("SELECT key || ' ' || type FROM trunkline.record"))
        .containsExactly("A-1 order.placed");
  }

  @Test
  void where_the_event_cannot_be_published_nothing_is_committed() {
    services.topic().delete();

    assertThatThrownBy(() -> orders.place(ORDER)).isInstanceOf(TopicNotFoundException.class);

    assertThat(database.number("SELECT count(*) FROM trunkline_demo.orders")).isZero();
    assertThat(database.number("SELECT count(*) FROM trunkline.record")).isZero();
  }

  @Test
  void an_order_sent_again_is_recognised_and_not_published_twice() throws SQLException {
    orders.place(ORDER);

    assertThat(orders.place(new Order("A-1", "ada", "book", 1, new BigDecimal("9.5"))))
        .isEqualTo(Placement.KNOWN);
    assertThat(orders.place(new Order("A-1", "eve", "book", 1, new BigDecimal("9.50"))))
        .isEqualTo(Placement.CONFLICTING);

    assertThat(database.number("SELECT count(*) FROM trunkline.record")).isEqualTo(1);
  }
}
