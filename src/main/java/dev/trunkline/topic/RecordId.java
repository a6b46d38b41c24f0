package dev.trunkline.topic;

/**
 * What a record is known by when it has been published, and not yet been given its offset. Unique
 * in its topic. Within a partition ids grow in the order of publishing, which is not that of the
 * offsets.
 *
 * @param partition the partition it went to
 * @param value the number in the column {@code trunkline.record.id}
 */
public record RecordId(int partition, long value) {}
