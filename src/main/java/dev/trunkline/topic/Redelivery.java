package dev.trunkline.topic;

/**
 * A dead letter that was replayed or released, on its way back to its group.
 *
 * @param id tells it from an earlier redelivery of the same record
 */
record Redelivery(long id, TopicRecord record) {}
