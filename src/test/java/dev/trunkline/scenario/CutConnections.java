package dev.trunkline.scenario;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.trunkline.crash.Hushed;
import dev.trunkline.support.TestDatabase;
import java.io.IOException;

/** A pool whose connections go through a {@link CuttingProxy}. */
final class CutConnections implements AutoCloseable {
  private final Hushed hushed = Hushed.connectionTrouble();
  private final CuttingProxy proxy;
  private final HikariDataSource pool;

  CutConnections(TestDatabase database) throws IOException {
    proxy = new CuttingProxy(database.url());
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(proxy.url());
    config.setUsername(database.user());
    config.setPassword(database.password());
    config.setMaximumPoolSize(8);
    pool = new HikariDataSource(config);
  }

  CuttingProxy proxy() {
    return proxy;
  }

  HikariDataSource pool() {
    return pool;
  }

  @Override
  public void close() {
    pool.close();
    proxy.close();
    hushed.close();
  }
}
