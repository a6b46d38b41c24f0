package dev.trunkline.scenario;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A port that leads to the database, and that cuts a connection at the moment when COMMIT passes:
 * the client never learns what became of it. Statements must go as text ({@code
 * prepareThreshold=0}). Thread-safe.
 */
final class CuttingProxy implements AutoCloseable {
  /** What becomes of a COMMIT. */
  enum Commits {
    PASS,
    /** It arrives at the server, its answer at nobody. */
    LOSE_THE_ANSWER,
    /** It arrives nowhere. */
    LOSE
  }

  private final ServerSocket door;
  private final URI server;
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();
  private final AtomicReference<Commits> next = new AtomicReference<>(Commits.PASS);
  private final AtomicInteger cut = new AtomicInteger();

  /** In front of the server of this JDBC URL. */
  CuttingProxy(String url) throws IOException {
    this.server = URI.create(url.substring("jdbc:".length()));
    this.door = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    daemon(this::accept);
  }

  /** The same database, through this. */
  String url() {
    String query = server.getQuery() == null ? "?" : "?" + server.getQuery() + "&";
    return "jdbc:postgresql://127.0.0.1:"
        + door.getLocalPort()
        + server.getPath()
        + query
        + "prepareThreshold=0";
  }

  /** The next COMMIT meets this; the ones after it pass. */
  void next(Commits commits) {
    next.set(commits);
  }

  /** How many connections were cut. */
  int cut() {
    return cut.get();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = door.accept();
        Socket postgres = new Socket(server.getHost(), server.getPort());
        sockets.addAll(List.of(client, postgres));
        daemon(() -> toServer(client, postgres));
        daemon(() -> toClient(postgres, client));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void toServer(Socket client, Socket postgres) {
    byte[] buffer = new byte[65_536];
    try (client;
        postgres) {
      InputStream in = client.getInputStream();
      OutputStream out = postgres.getOutputStream();
      for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
        boolean commit = new String(buffer, 0, read, ISO_8859_1).contains("COMMIT\0");
        Commits fate = commit ? next.getAndSet(Commits.PASS) : Commits.PASS;
        if (fate != Commits.PASS) {
          cut.incrementAndGet();
          client.setSoLinger(true, 0);
          client.close();
        }
        if (fate != Commits.LOSE) {
          out.write(buffer, 0, read);
          out.flush();
        }
        if (fate == Commits.LOSE) {
          return;
        }
      }
    } catch (IOException e) {
      // One of the two has gone.
    }
  }

  private void toClient(Socket postgres, Socket client) {
    byte[] buffer = new byte[65_536];
    try {
      InputStream in = postgres.getInputStream();
      for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
        client.getOutputStream().write(buffer, 0, read);
        client.getOutputStream().flush();
      }
      client.close();
    } catch (IOException e) {
      // One of the two has gone; what the server still has to do it does.
    }
  }

  private static void daemon(Runnable work) {
    Thread thread = new Thread(work, "cutting-proxy");
    thread.setDaemon(true);
    thread.start();
  }

  @Override
  public void close() {
    try {
      door.close();
      for (Socket socket : sockets) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
