package dev.trunkline.topic;

/** What retention does with records that some consumer group has not read yet. */
public enum SlowGroups {
  /** Keeps them, however old and many they are. */
  HOLD,

  /** Keeps them until the topic has so many bytes, then drops the oldest. */
  HOLD_UP_TO,

  /** Drops them as if they had been read. The group goes on where the log begins. */
  DROP
}
