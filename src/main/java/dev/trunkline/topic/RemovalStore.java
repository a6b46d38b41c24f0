package dev.trunkline.topic;

import dev.trunkline.internal.db.Session;
import java.util.List;

/** Statements that remove what is left of topics that have been deleted. None of them is hot. */
final class RemovalStore {
  private RemovalStore() {}

  private static final String DELETED =
      """
      SELECT id
      FROM trunkline.topic
      WHERE deleted_at IS NOT NULL
      ORDER BY id
      """;

  /** The tables with the records, unless a transaction holds one of them: see the function. */
  private static final String DROP_STORAGE =
      """
      SELECT trunkline.drop_topic_storage(:topicId)
      """;

  private static final String GROUPS =
      """
      SELECT id
      FROM trunkline.consumer_group
      WHERE topic_id = :topicId
      """;

  /** Rows of the topic, so many at a time. Nobody reads them any more. */
  private static final String DELETE_ROWS =
      """
      WITH segments AS (
        DELETE FROM trunkline.segment
        WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM trunkline.segment WHERE topic_id = :topicId LIMIT 5000))
        RETURNING 1
      ), steps AS (
        DELETE FROM trunkline.sequencing
        WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM trunkline.sequencing WHERE topic_id = :topicId LIMIT 5000))
        RETURNING 1
      ), latest AS (
        DELETE FROM trunkline.latest_by_key
        WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM trunkline.latest_by_key WHERE topic_id = :topicId LIMIT 5000))
        RETURNING 1
      ), compactions AS (
        DELETE FROM trunkline.compaction
        WHERE ctid = ANY (ARRAY(
          SELECT ctid FROM trunkline.compaction WHERE topic_id = :topicId LIMIT 5000))
        RETURNING 1
      )
      SELECT
        (SELECT count(*) FROM segments)
          + (SELECT count(*) FROM steps)
          + (SELECT count(*) FROM latest)
          + (SELECT count(*) FROM compactions)
      """;

  /** The topic itself, when nothing of it is left. */
  private static final String DELETE_TOPIC =
      """
      WITH partitions AS (
        DELETE FROM trunkline.topic_partition WHERE topic_id = :topicId
      )
      DELETE FROM trunkline.topic
      WHERE id = :topicId AND deleted_at IS NOT NULL
      RETURNING id
      """;

  static List<Integer> deleted(Session session) {
    return session.statement(DELETED).list(row -> row.getInt(1));
  }

  /** Answers whether nothing is left of it. */
  static boolean dropStorage(Session session, int topicId) {
    return session
        .statement(DROP_STORAGE)
        .bind("topicId", topicId)
        .list(row -> row.getBoolean(1))
        .get(0);
  }

  static List<Integer> groups(Session session, int topicId) {
    return session.statement(GROUPS).bind("topicId", topicId).list(row -> row.getInt(1));
  }

  static long deleteRows(Session session, int topicId) {
    return session.relaxed(DELETE_ROWS).bind("topicId", topicId).list(row -> row.getLong(1)).get(0);
  }

  static void deleteTopic(Session session, int topicId) {
    session.statement(DELETE_TOPIC).bind("topicId", topicId).run();
  }
}
