package dev.trunkline.demo;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.trunkline.error.TrunklineException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * {@code POST /orders} on the loopback interface: one order per request, answered after its commit.
 * Thread-safe.
 *
 * <p>201: committed. 200: it had been committed before. 400: no order. 409: another order has its
 * id. 413: too long. 503: the database is away, and sending it again is safe.
 */
final class OrderEndpoint implements AutoCloseable {
  private static final String PATH = "/orders";
  private static final int THREADS = 8;
  private static final int LAST_ANSWERS_SECONDS = 1;
  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  private final HttpServer server;
  private final ExecutorService threads =
      Executors.newFixedThreadPool(
          THREADS,
          task -> {
            Thread thread = new Thread(task, "demo-http");
            thread.setDaemon(true);
            return thread;
          });

  private OrderEndpoint(HttpServer server) {
    this.server = server;
  }

  /**
   * Takes a port.
   *
   * @param port 0 for any that is free
   */
  static OrderEndpoint bind(int port) {
    try {
      return new OrderEndpoint(
          HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0));
    } catch (IOException e) {
      throw new CannotStartException("port " + port + " cannot be used: " + OneLine.of(e), e);
    }
  }

  /** Begins to answer. */
  void start(Intake intake) {
    server.setExecutor(threads);
    server.createContext("/", exchange -> serve(exchange, intake));
    server.start();
  }

  String url() {
    InetSocketAddress address = server.getAddress();
    return "http://%s:%d%s"
        .formatted(address.getAddress().getHostAddress(), address.getPort(), PATH);
  }

  @Override
  public void close() {
    server.stop(LAST_ANSWERS_SECONDS);
    threads.shutdownNow();
  }

  /** What is answered: a status, and one field of JSON with a text. */
  private record Answer(int status, String field, String text) {}

  private static void serve(HttpExchange exchange, Intake intake) throws IOException {
    try (exchange) {
      Answer answer = answer(exchange, intake);
      if (answer.status() == 405) {
        exchange.getResponseHeaders().set("Allow", "POST");
      }
      byte[] body = body(answer);
      exchange.getResponseHeaders().set("Content-Type", "application/json");
      boolean bodyless = exchange.getRequestMethod().equals("HEAD");
      exchange.sendResponseHeaders(answer.status(), bodyless ? -1 : body.length);
      if (!bodyless) {
        exchange.getResponseBody().write(body);
      }
    }
  }

  private static Answer answer(HttpExchange exchange, Intake intake) throws IOException {
    if (!exchange.getRequestURI().getPath().equals(PATH)) {
      return new Answer(404, "error", "only " + PATH + " is here");
    }
    if (!exchange.getRequestMethod().equals("POST")) {
      return new Answer(405, "error", "only POST");
    }
    byte[] body = exchange.getRequestBody().readNBytes(OrderFormat.MAX_BYTES + 1);
    if (body.length > OrderFormat.MAX_BYTES) {
      intake.refuse();
      return new Answer(413, "error", "longer than " + OrderFormat.MAX_BYTES + " bytes");
    }
    try {
      return placed(OrderFormat.read(body), intake);
    } catch (BadOrderException e) {
      intake.refuse();
      return new Answer(400, "error", e.reason());
    }
  }

  private static Answer placed(Order order, Intake intake) {
    try {
      Optional<Placement> placement = intake.place(order);
      if (placement.isEmpty()) {
        return new Answer(503, "error", "the demo is ending");
      }
      return switch (placement.get()) {
        case ACCEPTED -> new Answer(201, "id", order.id());
        case KNOWN -> new Answer(200, "id", order.id());
        case CONFLICTING ->
            new Answer(409, "error", "another order " + order.id() + " was placed before");
      };
    } catch (SQLException | TrunklineException e) {
      return new Answer(
          503, "error", "the database does not take it, send it again: " + OneLine.of(e));
    }
  }

  private static byte[] body(Answer answer) throws JsonProcessingException {
    byte[] json = MAPPER.writeValueAsBytes(Map.of(answer.field(), answer.text()));
    byte[] line = Arrays.copyOf(json, json.length + 1);
    line[json.length] = '\n';
    return line;
  }
}
