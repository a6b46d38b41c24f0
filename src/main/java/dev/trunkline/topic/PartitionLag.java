package dev.trunkline.topic;

import java.time.Duration;

/**
 * How far a group is behind in one partition.
 *
 * @param partition the partition
 * @param committed the offset that the group goes on from; a shared group has claimed all below
 * @param end the offset that the partition's next record will have
 * @param records how many offsets lie between; those that retention has dropped do not count, and
 *     those that a shared group has claimed, or keeps waiting, do
 * @param time the age of the oldest record that the group has not done with, by the database's
 *     clock; zero if there is none
 */
public record PartitionLag(int partition, long committed, long end, long records, Duration time) {}
