package dev.trunkline.topic;

import static java.util.Objects.requireNonNull;

import java.time.Duration;

/**
 * How long a topic keeps its records: until they are older than an age, or more than so many bytes,
 * whichever comes first. Immutable and thread-safe.
 *
 * <p>Records go in whole tables (chunks), oldest first, so they stay somewhat longer than asked
 * for: by about a tenth.
 *
 * @param age counted from the append time: 1 s to 36,500 days, or {@link #FOREVER}; default 7 days
 * @param bytes size of the topic's tables and their indexes: 1 MiB and up, or {@link #UNLIMITED},
 *     the default
 * @param slowGroups what happens to records that a consumer group has not read yet, default {@link
 *     SlowGroups#HOLD}
 * @param capBytes with {@link SlowGroups#HOLD_UP_TO} the size from which on they are dropped all
 *     the same: 1 MiB and up; otherwise {@link #UNLIMITED}
 */
public record Retention(Duration age, long bytes, SlowGroups slowGroups, long capBytes) {
  /** No limit of age. */
  public static final Duration FOREVER = Duration.ofSeconds(Long.MAX_VALUE);

  /** No limit of bytes. */
  public static final long UNLIMITED = -1;

  private static final Duration DEFAULT_AGE = Duration.ofDays(7);
  private static final Duration LONGEST_AGE = Duration.ofDays(36_500);
  private static final long FEWEST_BYTES = 1024 * 1024;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException naming the argument that is out of range, and its value
   */
  public Retention {
    requireNonNull(age, "age");
    requireNonNull(slowGroups, "slowGroups");
    if (!age.equals(FOREVER)
        && (age.compareTo(Duration.ofSeconds(1)) < 0 || age.compareTo(LONGEST_AGE) > 0)) {
      throw new IllegalArgumentException(
          "age must be between 1 s and 36500 days, or FOREVER: " + age);
    }
    age = age.equals(FOREVER) ? age : Duration.ofMillis(age.toMillis());
    checkBytes("bytes", bytes);
    checkBytes("capBytes", capBytes);
    if ((slowGroups == SlowGroups.HOLD_UP_TO) != (capBytes != UNLIMITED)) {
      throw new IllegalArgumentException(
          "capBytes must be given with HOLD_UP_TO and only then: %d with %s"
              .formatted(capBytes, slowGroups));
    }
  }

  /** Seven days, any number of bytes, held for groups that have not read. */
  public static Retention defaults() {
    return new Retention(DEFAULT_AGE, UNLIMITED, SlowGroups.HOLD, UNLIMITED);
  }

  /** Everything, for ever. */
  public static Retention forever() {
    return defaults().withAge(FOREVER);
  }

  /** This retention with another age. */
  public Retention withAge(Duration age) {
    return new Retention(age, bytes, slowGroups, capBytes);
  }

  /** This retention with another size. */
  public Retention withBytes(long bytes) {
    return new Retention(age, bytes, slowGroups, capBytes);
  }

  /** This retention, dropping what a group has not read as well; the group is told. */
  public Retention droppingUnread() {
    return new Retention(age, bytes, SlowGroups.DROP, UNLIMITED);
  }

  /** This retention, holding what a group has not read, however long that takes. */
  public Retention holdingUnread() {
    return new Retention(age, bytes, SlowGroups.HOLD, UNLIMITED);
  }

  /** This retention, holding what a group has not read until the topic has so many bytes. */
  public Retention holdingUnreadUpTo(long capBytes) {
    return new Retention(age, bytes, SlowGroups.HOLD_UP_TO, capBytes);
  }

  private static void checkBytes(String name, long value) {
    if (value != UNLIMITED && value < FEWEST_BYTES) {
      throw new IllegalArgumentException(
          "%s must be 1048576 or more, or UNLIMITED: %d".formatted(name, value));
    }
  }
}
