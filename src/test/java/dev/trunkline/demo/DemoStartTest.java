package dev.trunkline.demo;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What keeps the demo from starting: one line on standard error, and status 2. */
class DemoStartTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--bogus | Unknown option: '--bogus'",
        "--rate 0 | --rate must be over 0",
        "--rate NaN | --rate must be over 0",
        "--port 65536 | --port must be between 0 and 65535",
        "--seconds -1 | --seconds must be over 0",
        "--email-concurrency 0 | --email-concurrency must be between 1 and 96",
        "--user ada | --user and --password go with --url",
        "--url jdbc:postgresql:x --data d | --data is for the embedded PostgreSQL",
        "--url nonsense | the URL must be like jdbc:postgresql://",
        "--orders no/such/file | the orders cannot be read from no/such/file"
      })
  void a_wrong_command_line_is_refused(String arguments, String reason) {
    refused(reason, arguments.split(" "));
  }

  @Test
  void a_database_that_does_not_answer_is_named_without_the_password() throws Exception {
    int port;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = socket.getLocalPort();
    }
    CommandLineRun run =
        refused(
            "localhost:%d/shop does not answer".formatted(port),
            "--url",
            "jdbc:postgresql://localhost:%d/shop?user=ada&password=secret".formatted(port));
    assertThat(run.errors()).noneMatch(line -> line.contains("secret"));
  }

  @Test
  void a_port_in_use_is_named() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String port = String.valueOf(taken.getLocalPort());
      refused("port " + port + " cannot be used", "--port", port);
    }
  }

  @Test
  void a_directory_that_cannot_be_written_is_named(@TempDir Path directory) throws Exception {
    Path file = Files.writeString(directory.resolve("file"), "");
    String below = file.resolve("below").toString();

    refused(below + " cannot be used", "--data", below);
  }

  private static CommandLineRun refused(String reason, String... arguments) {
    CommandLineRun run = new CommandLineRun();

    assertThat(run.run("", arguments)).isEqualTo(2);
    assertThat(run.errors()).singleElement().asString().startsWith(reason);
    assertThat(run.out()).isEmpty();
    return run;
  }
}
