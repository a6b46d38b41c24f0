package dev.trunkline.demo;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The directory of a {@link DemoServer} whose data is kept: the cluster, its log, and who owns it
 * now.
 *
 * <pre>
 * DIR/postgres       the data directory
 * DIR/postgres.log   what the server says
 * DIR/owner.lock     locked by the process that uses DIR, released by the operating system whatever ends it
 * DIR/incomplete     there from before initdb until the first successful start
 * </pre>
 */
final class DataDirectory implements AutoCloseable {
  private final Path directory;
  private final FileChannel lockFile;

  private DataDirectory(Path directory, FileChannel lockFile) {
    this.directory = directory;
    this.lockFile = lockFile;
  }

  /** Takes the directory for this process, and makes it where it is missing. */
  static DataDirectory lock(Path directory) {
    try {
      Path absolute = Files.createDirectories(directory.toAbsolutePath().normalize()).toRealPath();
      FileChannel channel =
          FileChannel.open(
              absolute.resolve("owner.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (tryLock(channel) == null) {
        channel.close();
        throw new IllegalStateException("another process uses " + absolute);
      }
      return new DataDirectory(absolute, channel);
    } catch (IOException e) {
      throw new UncheckedIOException(directory + " cannot be used: " + e.getMessage(), e);
    }
  }

  /** Clears the way for a server: no old one runs, and the data is either whole or not there. */
  void prepare() throws IOException {
    if (Files.exists(incomplete())) {
      // INVARIANT: only what this class marked as its own unfinished work is ever deleted.
      deleteRecursively(data());
    }
    if (Files.exists(data().resolve("PG_VERSION"))) {
      OrphanedServer.in(data()).stop();
    } else {
      if (isNotEmpty(data())) {
        throw new IllegalStateException(data() + " holds something else than a PostgreSQL's data");
      }
      Files.writeString(incomplete(), "");
    }
  }

  /** The server runs on this data, so it is whole. */
  void initialized() throws IOException {
    Files.deleteIfExists(incomplete());
  }

  Path data() {
    return directory.resolve("postgres");
  }

  Path log() {
    return directory.resolve("postgres.log");
  }

  /** Gives the directory up. */
  @Override
  public void close() {
    try {
      lockFile.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String toString() {
    return "%s (data of PostgreSQL %s; see %s)".formatted(directory, version(), log());
  }

  private Path incomplete() {
    return directory.resolve("incomplete");
  }

  private String version() {
    try {
      return Files.readString(data().resolve("PG_VERSION")).strip();
    } catch (IOException e) {
      return "unknown version";
    }
  }

  private static @Nullable FileLock tryLock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException e) {
      return null;
    }
  }

  private static boolean isNotEmpty(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return false;
    }
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.findAny().isPresent();
    }
  }

  private static void deleteRecursively(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    List<Path> deepestFirst;
    try (Stream<Path> paths = Files.walk(directory)) {
      deepestFirst = paths.sorted(Comparator.reverseOrder()).toList();
    }
    for (Path path : deepestFirst) {
      Files.delete(path);
    }
  }
}
