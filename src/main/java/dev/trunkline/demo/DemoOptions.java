package dev.trunkline.demo;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.stream.IntStream;

/**
 * What the command line asked for.
 *
 * @param server the PostgreSQL to use
 * @param sources where orders come from
 * @param mail how slow the email service is
 * @param end when it is over
 */
record DemoOptions(Server server, Sources sources, Mail mail, End end) {

  /**
   * Which PostgreSQL.
   *
   * @param url of an existing one; empty for the embedded one
   * @param user on the existing one, where the URL does not name it
   * @param password likewise
   * @param data where the embedded one keeps its data; empty for a temporary one
   */
  record Server(
      Optional<String> url,
      Optional<String> user,
      Optional<String> password,
      Optional<Path> data) {}

  /**
   * Where orders come from; with none of them given they are generated, and requests are taken too.
   *
   * @param file a file of orders, or - for standard input
   * @param rate orders generated per second
   * @param port for requests
   */
  record Sources(Optional<String> file, OptionalDouble rate, OptionalInt port) {
    private static final double DEFAULT_RATE = 10;

    boolean isFileOnly() {
      return file.isPresent() && rate.isEmpty() && port.isEmpty();
    }

    /** The rate to generate at, if any. */
    OptionalDouble generated() {
      return rate.isEmpty() && file.isEmpty() && port.isEmpty()
          ? OptionalDouble.of(DEFAULT_RATE)
          : rate;
    }

    /** The port to listen on, if any; 0 for a free one. */
    OptionalInt listened() {
      return port.isEmpty() && file.isEmpty() ? OptionalInt.of(0) : port;
    }
  }

  /**
   * The email service.
   *
   * @param time that one mail takes
   * @param concurrency mails at the same time, by all its instances together
   */
  record Mail(Duration time, int concurrency) {
    /** Shares an amount out evenly; whoever would have none is left out. */
    static List<Integer> shares(int amount, int among) {
      return IntStream.range(0, among)
          .mapToObj(each -> (amount + among - 1 - each) / among)
          .filter(share -> share > 0)
          .toList();
    }

    /** Mails per second at best. */
    double perSecond() {
      return concurrency / (time.toNanos() / 1e9);
    }
  }

  /**
   * When it is over.
   *
   * @param seconds how long to take orders; empty for as long as there are any
   * @param drain how long the services may work off what is left then
   */
  record End(Optional<Duration> seconds, Duration drain) {}
}
