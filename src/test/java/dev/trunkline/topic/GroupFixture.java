package dev.trunkline.topic;

import dev.trunkline.internal.db.Database;
import dev.trunkline.support.PostgresTest;
import dev.trunkline.support.TestDatabase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A topic and members of its groups, each in what stands for a process of its own. */
@PostgresTest
abstract class GroupFixture {
  static final Duration BEAT = Duration.ofMillis(50);
  static final Duration SESSION = Duration.ofMillis(600);
  static final GroupConfig CONFIG =
      GroupConfig.from(StartFrom.earliest()).withSessionTimeout(SESSION);

  private final List<GroupEngine> engines = new ArrayList<>();
  private final List<Membership> joined = new ArrayList<>();
  TestDatabase database;
  int topicId;

  @BeforeEach
  void declare_a_topic() {
    database.truncateAll();
    topicId = topic("orders", 6);
  }

  @AfterEach
  void end_all_members() {
    engines.forEach(GroupEngine::close);
  }

  /** A topic as far as groups look at it: nothing is published to it. */
  final int topic(String name, int partitions) {
    database.execute(
        """
        INSERT INTO trunkline.topic (name, partitions, max_payload_bytes, slow_groups)
        VALUES (?, ?, 1000, 'HOLD')
        """,
        name,
        partitions);
    int id = (int) database.number("SELECT id FROM trunkline.topic WHERE name = ?", name);
    addPartitions(id, partitions);
    return id;
  }

  final void addPartitions(int id, int partitions) {
    database.execute(
        """
        INSERT INTO trunkline.topic_partition (topic_id, partition)
        SELECT ?, number FROM generate_series(0, ? - 1) AS number
        ON CONFLICT DO NOTHING
        """,
        id,
        partitions);
  }

  /** Ten records a segment, and one segment a second since the beginning of 2024. */
  final void segments(int partition, int count) {
    database.execute(
        """
        INSERT INTO trunkline.segment (topic_id, partition, base_offset, appended_at, bytes, chunk, ids)
        SELECT ?, ?, n * 10, timestamptz '2024-01-01 00:00:00Z' + n * interval '1 second', 1, 0,
          ARRAY(SELECT n * 10 + i FROM generate_series(1, 10) i)
        FROM generate_series(0, ? - 1) AS n
        """,
        topicId,
        partition,
        count);
  }

  final Groups groups() {
    return new Groups(library(), topicId, "orders", () -> {});
  }

  final GroupRow group(GroupConfig config) {
    return groups().declare("billing", GroupKind.ORDERED, config);
  }

  /** Another process. */
  final GroupEngine process() {
    GroupEngine engine = new GroupEngine(library(), BEAT, false);
    engines.add(engine);
    return engine;
  }

  final Membership join(GroupEngine engine) {
    return join(engine, MemberConfig.defaults());
  }

  final Membership join(GroupEngine engine, MemberConfig config) {
    try {
      Membership member = engine.join(group(CONFIG), config, changed -> {});
      joined.add(member);
      return member;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  /** Which member owns each partition, by the database. */
  final Map<Integer, Long> owners() {
    Map<Integer, Long> owners = new TreeMap<>();
    database
        .rows("SELECT partition, coalesce(member_id, 0) FROM trunkline.group_partition")
        .forEach(row -> owners.put((Integer) row.get(0), (Long) row.get(1)));
    return owners;
  }

  final Database library() {
    return new Database(database.dataSource());
  }
}
