package dev.trunkline.support;

import static org.assertj.core.api.Assertions.assertThat;

import java.sql.SQLException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;

@PostgresTest
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class TestDatabaseTest {
  private static TestDatabase shared;
  private TestDatabase database;

  @AfterAll
  static void the_static_field_is_filled_too() {
    assertThat(shared).isNotNull();
  }

  @Test
  @Order(1)
  void field_and_parameter_are_the_same_database_with_the_schema_in_it(TestDatabase parameter) {
    assertThat(parameter).isSameAs(database).isSameAs(shared);
    assertThat(database.number("SELECT count(*) FROM trunkline.message")).isZero();
    assertThat(database.number("SELECT version FROM trunkline.schema_version")).isPositive();
  }

  @Test
  @Order(2)
  void what_a_test_writes_is_there_for_the_test() throws SQLException {
    writeMessageWithoutState();

    assertThat(Invariants.broken(database))
        .anyMatch(line -> line.endsWith("is in no state"))
        .anyMatch(line -> line.endsWith("of queue 7, which is gone"));
    database.truncateAll();
  }

  @Test
  @Order(3)
  void the_next_test_finds_the_tables_empty_but_the_schema_described() {
    assertThat(Invariants.broken(database)).isEmpty();
    assertThat(database.number("SELECT count(*) FROM trunkline.schema_version")).isEqualTo(1);
  }

  @Test
  @Order(4)
  void sessions_are_not_in_utc() {
    assertThat(database.text("SHOW timezone")).isEqualTo("Asia/Kolkata");
  }

  @Nested
  class Inside {
    @Test
    void a_nested_class_has_the_same_database(TestDatabase parameter) {
      assertThat(parameter).isSameAs(shared);
    }
  }

  private void writeMessageWithoutState() {
    database.execute(
        "INSERT INTO trunkline.message (queue_id, priority, payload) VALUES (7, 5, 'x')");
  }
}
