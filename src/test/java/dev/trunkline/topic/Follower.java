package dev.trunkline.topic;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/** A reader that goes forward, and what it has been given. Not thread-safe. */
interface Follower {
  /** Reads on, some records at most. Answers how many came. */
  int look(int maxRecords) throws SQLException;

  /** All it has been given, in an order that is the reader's where it matters: within a key. */
  List<String> delivered();

  /** Reads on until nothing comes. */
  default void lookToTheEnd() throws SQLException {
    while (look(1_000) > 0) {
      // Until nothing is left.
    }
  }

  /** Reads the log by offsets, each partition on its own. */
  final class ByOffset implements Follower {
    /** How it reads a partition from an offset on. */
    @FunctionalInterface
    interface Read {
      LogReader.Page from(int partition, long offset, int maxRecords);
    }

    private final Read read;
    private final TopicRow topic;
    private final Map<Integer, Map<Long, String>> seen = new ConcurrentHashMap<>();
    private final List<String> complaints = new ArrayList<>();

    ByOffset(LogReader reader, TopicRow topic) {
      this(
          (partition, offset, maxRecords) ->
              reader.read(topic, partition, offset, maxRecords, Long.MAX_VALUE),
          topic);
    }

    ByOffset(Read read, TopicRow topic) {
      this.read = read;
      this.topic = topic;
    }

    @Override
    public int look(int maxRecords) {
      return partitions().map(partition -> look(partition, next(partition), maxRecords)).sum();
    }

    /** Reads again what it has read: it is as it was. */
    void lookBack(int lot, int maxRecords) {
      partitions()
          .filter(partition -> next(partition) > 0)
          .forEach(partition -> look(partition, lot % next(partition), maxRecords));
    }

    private IntStream partitions() {
      return IntStream.range(0, topic.config().partitions());
    }

    private long next(int partition) {
      return of(partition).size();
    }

    private Map<Long, String> of(int partition) {
      return seen.computeIfAbsent(partition, p -> new TreeMap<>());
    }

    private int look(int partition, long from, int maxRecords) {
      LogReader.Page page = read.from(partition, from, maxRecords);
      long expected = from;
      for (TopicRecord record : page.records()) {
        if (record.offset() != expected) {
          complaints.add("a gap: %s instead of offset %d".formatted(record, expected));
        }
        String before = of(partition).put(record.offset(), record.message().text());
        if (before != null && !before.equals(record.message().text())) {
          complaints.add("%s was %s and is %s".formatted(record, before, record.message().text()));
        }
        expected++;
      }
      if (page.next() != expected || page.logEnd() < expected) {
        complaints.add("after offset %d: %s".formatted(expected, page));
      }
      return page.records().size();
    }

    @Override
    public List<String> delivered() {
      List<String> all = new ArrayList<>();
      new TreeMap<>(seen).values().forEach(texts -> all.addAll(texts.values()));
      return all;
    }

    /** What was wrong with the offsets themselves. */
    List<String> complaints() {
      return complaints;
    }
  }

  /**
   * Reads a table from the last row on that it was given, as those do who have no offsets: the
   * statement takes the topic, the last xid, the last id and a limit.
   */
  final class Naive implements Follower {
    /** Ids are handed out before the commit: who commits late is passed over. */
    static final String BY_ID =
        """
        SELECT xid::text, id, convert_from(payload, 'UTF8')
        FROM trunkline.record
        WHERE topic_id = ? AND (?::text IS NOT NULL) AND id > ?
        ORDER BY id
        LIMIT ?
        """;

    /**
     * Nobody is passed over, but everybody waits for the oldest transaction, and who began early
     * and published late comes before what it saw.
     */
    static final String BELOW_XMIN =
        """
        SELECT xid::text, id, convert_from(payload, 'UTF8')
        FROM trunkline.record
        WHERE topic_id = ?
          AND (xid, id) > (?::xid8, ?)
          AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, id
        LIMIT ?
        """;

    private final Connection connection;
    private final int topicId;
    private final String sql;
    private final List<String> delivered = new ArrayList<>();
    private String lastXid = "0";
    private long lastId;

    Naive(Connection connection, int topicId, String sql) {
      this.connection = connection;
      this.topicId = topicId;
      this.sql = sql;
    }

    @Override
    public int look(int maxRecords) throws SQLException {
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        statement.setInt(1, topicId);
        statement.setString(2, lastXid);
        statement.setLong(3, lastId);
        statement.setInt(4, maxRecords);
        int rows = 0;
        try (ResultSet found = statement.executeQuery()) {
          while (found.next()) {
            lastXid = found.getString(1);
            lastId = found.getLong(2);
            delivered.add(found.getString(3));
            rows++;
          }
        }
        return rows;
      }
    }

    @Override
    public List<String> delivered() {
      return delivered;
    }

    void close() throws SQLException {
      connection.close();
    }
  }
}
