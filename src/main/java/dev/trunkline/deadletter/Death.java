package dev.trunkline.deadletter;

import org.jspecify.annotations.Nullable;

/**
 * A message that is about to be moved to the dead letters.
 *
 * @param messageId the message
 * @param deliveries failed or lost deliveries, the last one included
 * @param acquired claims
 * @param reason why
 * @param detail what the handler said, or null
 * @param error the exception, or null
 */
public record Death(
    long messageId,
    int deliveries,
    int acquired,
    DeathReason reason,
    @Nullable String detail,
    @Nullable DeathError error) {}
