package dev.trunkline.support;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.slf4j.LoggerFactory;
import org.testcontainers.DockerClientFactory;

/**
 * Whether a Docker engine answers: asked quickly and quietly, since most often the answer is no.
 */
final class DockerEngine {
  private static final int PATIENCE_SECONDS = 15;

  private DockerEngine() {}

  static boolean answers() {
    if (!mayBeThere()) {
      return false;
    }
    Logger chatter = (Logger) LoggerFactory.getLogger("org.testcontainers");
    Level before = chatter.getLevel();
    chatter.setLevel(Level.OFF);
    try {
      return CompletableFuture.supplyAsync(() -> DockerClientFactory.instance().isDockerAvailable())
          .completeOnTimeout(false, PATIENCE_SECONDS, TimeUnit.SECONDS)
          .join();
    } finally {
      chatter.setLevel(before);
    }
  }

  /** Without any of these there is nothing that Testcontainers could find, only time to lose. */
  private static boolean mayBeThere() {
    String home = System.getProperty("user.home");
    return System.getenv("DOCKER_HOST") != null
        || System.getProperty("os.name").startsWith("Windows")
        || Stream.of(
                Path.of("/var/run/docker.sock"),
                Path.of(home, ".docker", "run", "docker.sock"),
                Path.of(home, ".docker", "desktop", "docker.sock"),
                Path.of(home, ".rd", "docker.sock"),
                Path.of(home, ".testcontainers.properties"),
                Path.of(
                    System.getenv().getOrDefault("XDG_RUNTIME_DIR", "/run/user"), "docker.sock"))
            .anyMatch(Files::exists);
  }
}
