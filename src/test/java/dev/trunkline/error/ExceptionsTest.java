package dev.trunkline.error;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.List;
import org.junit.jupiter.api.Test;

class ExceptionsTest {
  private static final List<TrunklineException> ALL =
      List.of(
          new DatabaseException("broken pipe", "08006", new IOException("pipe")),
          new LeaseLostException("orders", 7, 8),
          new PayloadTooLargeException("queue", "orders", 11, 10),
          new PayloadUnreadableException("Order", "application/json", new IOException("no")),
          new PayloadUnwritableException("Order", new IOException("no")),
          new ProducerFencedException("orders", "importer", 3),
          new QueueConfigMismatchException("orders", "this", "that"),
          new QueueNotFoundException("orders"),
          new SchemaVersionException("too new"));

  @Test
  void each_tells_what_it_is_about() {
    assertThat(ALL)
        .extracting(Throwable::getMessage)
        .containsExactly(
            "broken pipe",
            "message 7 of queue \"orders\" is no longer held by lease 8: it was settled, expired or purged",
            "payload of 11 bytes is over the limit of queue \"orders\": maxPayloadBytes is 10",
            "payload with content type application/json cannot be read as Order: no",
            "value of Order cannot be written as a payload: no",
            "producer \"importer\" of queue \"orders\" was opened again: epoch 3 must not send any more",
            "queue \"orders\" exists with another configuration: it has this, declared was that; use alter to change it",
            "queue \"orders\" does not exist",
            "too new");
  }

  @Test
  void each_carries_its_identity_as_fields() {
    LeaseLostException lost = new LeaseLostException("orders", 7, 8);
    assertThat(lost.queue()).isEqualTo("orders");
    assertThat(lost.messageId()).isEqualTo(7);
    assertThat(lost.leaseId()).isEqualTo(8);
    ProducerFencedException fenced = new ProducerFencedException("orders", "importer", 3);
    assertThat(fenced.queue()).isEqualTo("orders");
    assertThat(fenced.producer()).isEqualTo("importer");
    assertThat(fenced.epoch()).isEqualTo(3);
    assertThat(new QueueConfigMismatchException("orders", 1, 2).queue()).isEqualTo("orders");
    assertThat(new QueueNotFoundException("orders").queue()).isEqualTo("orders");
    assertThat(new DatabaseException("a", "08006", new IOException()).sqlState()).contains("08006");
    assertThat(new DatabaseException("a", null, new IOException()).sqlState()).isEmpty();
  }

  @Test
  void each_survives_a_trip_to_another_process() throws Exception {
    for (TrunklineException exception : ALL) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
        out.writeObject(exception);
      }
      try (ObjectInputStream in =
          new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
        assertThat((Throwable) in.readObject())
            .isInstanceOf(exception.getClass())
            .hasMessage(exception.getMessage());
      }
    }
  }
}
