package dev.trunkline.queue;

import dev.trunkline.message.MessageId;
import java.time.Instant;

/**
 * A key of a FIFO queue that waits for {@link Queue#releaseKey}. Immutable and thread-safe.
 *
 * @param key the key
 * @param deadMessage the message that was given up; it is among the dead letters, unless it has
 *     been replayed or purged
 * @param parkedAt when, by the database's clock
 */
public record ParkedKey(String key, MessageId deadMessage, Instant parkedAt) {}
