package dev.trunkline.topic;

import dev.trunkline.deadletter.DeathError;
import dev.trunkline.deadletter.DeathReason;
import java.time.Instant;
import java.util.Optional;

/**
 * A record that a group has given up, and why.
 *
 * @param id of the dead letter; grows with time
 * @param group the group
 * @param record the record as it was, whether or not the topic still has it
 * @param reason why it was given up; {@link DeathReason#PARKED} if it waits, untried, behind
 *     another one of its key
 * @param detail what a shared group's handler said with {@code Outcome.deadLetter(detail)}
 * @param error the exception it died of
 * @param attempts how often it failed
 * @param diedAt when it was given up
 * @param replays how often it was replayed before
 * @param history the earlier deaths as a JSON array, newest first; {@code []} if there are none
 */
public record DeadRecord(
    long id,
    String group,
    TopicRecord record,
    DeathReason reason,
    Optional<String> detail,
    Optional<DeathError> error,
    int attempts,
    Instant diedAt,
    int replays,
    String history) {}
