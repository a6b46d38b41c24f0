package dev.trunkline.queue;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.time.Instant;
import java.util.Optional;

/**
 * A message looked at without touching it.
 *
 * @param id of the message
 * @param message what was sent
 * @param state where it is
 * @param deliveries failed or lost deliveries so far
 * @param acquired claims so far
 * @param enqueuedAt when it was sent
 * @param until when it is due (scheduled) or visible again (in flight); empty if it is ready
 */
public record PeekedMessage(
    MessageId id,
    Message message,
    MessageState state,
    int deliveries,
    int acquired,
    Instant enqueuedAt,
    Optional<Instant> until) {}
