package dev.trunkline.deadletter;

import dev.trunkline.message.Message;
import dev.trunkline.message.MessageId;
import java.time.Instant;
import java.util.Optional;

/**
 * A message that was given up, and why.
 *
 * @param id of the dead letter; grows with time
 * @param messageId of the message; a replay keeps it
 * @param queue the queue it died in
 * @param message the payload and all that was sent with it
 * @param reason why it was given up
 * @param detail what the handler said with {@code Outcome.deadLetter(detail)}
 * @param error the exception it died of
 * @param deliveries failed or lost deliveries
 * @param acquired claims, including those that were released again
 * @param enqueuedAt when it was first sent
 * @param diedAt when it was given up
 * @param replays how often it was replayed before
 * @param history the earlier deaths as a JSON array, newest first; {@code []} if there are none
 */
public record DeadLetter(
    long id,
    MessageId messageId,
    String queue,
    Message message,
    DeathReason reason,
    Optional<String> detail,
    Optional<DeathError> error,
    int deliveries,
    int acquired,
    Instant enqueuedAt,
    Instant diedAt,
    int replays,
    String history) {}
