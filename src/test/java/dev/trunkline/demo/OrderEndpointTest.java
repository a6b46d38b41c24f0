package dev.trunkline.demo;

import static org.assertj.core.api.Assertions.assertThat;

import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@PostgresTest
class OrderEndpointTest {
  private final TestDatabase database;
  private final HttpClient client = HttpClient.newHttpClient();
  private Services services;
  private Intake intake;
  private OrderEndpoint endpoint;

  OrderEndpointTest(TestDatabase database) {
    this.database = database;
  }

  @BeforeEach
  void open() throws SQLException {
    database.execute("DROP SCHEMA IF EXISTS trunkline_demo CASCADE");
    try (Connection connection = database.connect()) {
      DemoSchemaStore.create(connection);
    }
    services = Services.open(database.dataSource());
    intake =
        new Intake(
            new OrderService(database.dataSource(), services.topic(), 1),
            new StopSignal(),
            notice -> {});
    endpoint = OrderEndpoint.bind(0);
    endpoint.start(intake);
  }

  @AfterEach
  void close() {
    endpoint.close();
    services.stop();
  }

  @Test
  void an_order_is_committed_when_201_is_answered() throws Exception {
    HttpResponse<String> answer = post(OrderFormat.EXAMPLE);

    assertThat(answer.statusCode()).isEqualTo(201);
    assertThat(answer.body()).isEqualTo("{\"id\":\"A-1\"}\n");
    assertThat(database.texts("SELECT id FROM trunkline_demo.orders")).containsExactly("A-1");
  }

  @Test
  void an_order_sent_again_is_200_and_another_one_under_its_id_409() throws Exception {
    post(OrderFormat.EXAMPLE);

    assertThat(post(OrderFormat.EXAMPLE).statusCode()).isEqualTo(200);
    assertThat(post(OrderFormat.EXAMPLE.replace("ada", "eve")).statusCode()).isEqualTo(409);
    assertThat(database.number("SELECT count(*) FROM trunkline.record")).isEqualTo(1);
  }

  @Test
  void what_is_no_order_is_400_with_the_reason_and_too_much_is_413() throws Exception {
    assertThat(post("{").statusCode()).isEqualTo(400);
    assertThat(post("{}").body()).isEqualTo("{\"error\":\"id is missing\"}\n");
    assertThat(post(" ".repeat(OrderFormat.MAX_BYTES + 1)).statusCode()).isEqualTo(413);
  }

  @Test
  void other_methods_are_405_and_other_paths_404() throws Exception {
    HttpResponse<String> get = send(request(endpoint.url()).GET());
    assertThat(get.statusCode()).isEqualTo(405);
    assertThat(get.headers().firstValue("Allow")).contains("POST");

    assertThat(send(request(endpoint.url() + "/A-1").GET()).statusCode()).isEqualTo(404);
  }

  @Test
  void an_order_that_comes_when_the_demo_is_ending_is_503_and_not_looked_at() throws Exception {
    intake.close(Duration.ofSeconds(1));

    assertThat(post(OrderFormat.EXAMPLE).statusCode()).isEqualTo(503);
    assertThat(database.number("SELECT count(*) FROM trunkline_demo.orders")).isZero();
  }

  private HttpResponse<String> post(String body) throws IOException, InterruptedException {
    return send(request(endpoint.url()).POST(BodyPublishers.ofString(body)));
  }

  private static HttpRequest.Builder request(String url) {
    return HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(10));
  }

  private HttpResponse<String> send(HttpRequest.Builder request)
      throws IOException, InterruptedException {
    return client.send(request.build(), BodyHandlers.ofString());
  }
}
