package dev.trunkline.message;

/**
 * The id of a message, unique in the database. Ids grow in the order of sending, but commits may
 * overtake each other.
 *
 * @param value the number in the column {@code trunkline.message.id}
 */
public record MessageId(long value) {
  @Override
  public String toString() {
    return Long.toString(value);
  }
}
