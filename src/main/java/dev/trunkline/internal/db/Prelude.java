package dev.trunkline.internal.db;

/**
 * Settings for one statement of ours, put before it in the same text.
 *
 * <p>The driver sends both in one round trip and the server runs both in one transaction, so {@code
 * set_config(..., true)} ends with the statement and the pool's connection is left as it was. (A
 * pooler in transaction mode sees one transaction, too.)
 */
enum Prelude {
  /**
   * For statements whose loss in a crash is only a redelivery: claim, renew, ack. Also pins the
   * plan: a plan made and cached while a table is tiny reads it from end to end, or sorts what
   * another index finds instead of reading the one that has the order, and stays when the table has
   * grown to a million rows. (What has no order by itself is sorted all the same.)
   */
  RELAXED(
      """
      SELECT
        set_config('synchronous_commit', 'off', true),
        set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true),
        set_config('enable_sort', 'off', true),
        set_config('plan_cache_mode', 'force_generic_plan', true),
        set_config('jit', 'off', true);
      """),

  /**
   * For reads of a table in many partitions: planned anew each time, so that the planner sees the
   * values, and opens and locks only the partitions that they can be in, however many there are.
   */
  REPLANNED(
      """
      SELECT
        set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true),
        set_config('plan_cache_mode', 'force_custom_plan', true),
        set_config('jit', 'off', true);
      """),

  /**
   * For publishes in a transaction of ours: the commit is on disk when the call returns, whatever
   * the pool says.
   */
  DURABLE(
      """
      SELECT set_config('synchronous_commit', 'on', true)
      WHERE current_setting('synchronous_commit') = 'off';
      """),

  /** Both: a pinned plan, and on disk when the call returns. */
  DURABLE_PINNED(
      """
      SELECT
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
          WHEN 'off' THEN 'on'
          ELSE current_setting('synchronous_commit')
        END, true),
        set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true),
        set_config('enable_sort', 'off', true),
        set_config('plan_cache_mode', 'force_generic_plan', true),
        set_config('jit', 'off', true);
      """),

  /**
   * For statements of ours in a transaction that is not only ours: pins the plan as RELAXED does,
   * says nothing about the commit, and remembers what was set before, for {@link #PINNED_AFTER}.
   */
  PINNED(
      """
      SELECT
        set_config('trunkline.settings', concat_ws(',',
          current_setting('enable_seqscan'),
          current_setting('enable_bitmapscan'),
          current_setting('enable_sort'),
          current_setting('plan_cache_mode'),
          current_setting('jit')), true),
        set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true),
        set_config('enable_sort', 'off', true),
        set_config('plan_cache_mode', 'force_generic_plan', true),
        set_config('jit', 'off', true);
      """);

  /** Puts back, in the same transaction, what PINNED changed. */
  private static final String PINNED_AFTER =
      """
      ;
      SELECT
        set_config('enable_seqscan', split_part(saved.settings, ',', 1), true),
        set_config('enable_bitmapscan', split_part(saved.settings, ',', 2), true),
        set_config('enable_sort', split_part(saved.settings, ',', 3), true),
        set_config('plan_cache_mode', split_part(saved.settings, ',', 4), true),
        set_config('jit', split_part(saved.settings, ',', 5), true)
      FROM (SELECT current_setting('trunkline.settings', true) AS settings) saved
      WHERE saved.settings <> ''
      """;

  private final String sql;

  Prelude(String sql) {
    this.sql = sql;
  }

  String before(String statement) {
    return sql + statement;
  }

  /** A statement between PINNED and what undoes it. */
  static String pinned(String statement) {
    return PINNED.before(statement) + PINNED_AFTER;
  }
}
