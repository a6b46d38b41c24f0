/**
 * Metrics, for applications that have Micrometer; nothing else in the library knows it.
 *
 * <p>{@link dev.trunkline.metrics.TrunklineMetrics} is bound to a registry like any other binder.
 * Its meters hold no values. When one of them is read, {@link dev.trunkline.metrics.Readings}
 * answers from the newest {@link dev.trunkline.metrics.Reading} if that is young enough, and else
 * has a new one made: two statements, whatever the number of queues, groups and partitions. They
 * run on a thread of their own, so that whoever reads waits for a bounded time only; there is no
 * thread, and no statement, while nobody reads. Each reading is followed by {@link
 * dev.trunkline.metrics.RegistryMeters}: what is new gets its meters, what is gone loses them.
 */
@NullMarked
package dev.trunkline.metrics;

import org.jspecify.annotations.NullMarked;
