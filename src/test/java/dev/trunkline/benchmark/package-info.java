/**
 * How fast it is, compared in one run with what PostgreSQL itself can do. A program, not a test:
 * nothing here asserts a time.
 *
 * <ul>
 *   <li>{@link dev.trunkline.benchmark.Main} is the command line; {@link
 *       dev.trunkline.benchmark.QueueCommand} picks one of the runs.
 *   <li>{@link dev.trunkline.benchmark.ThroughputRun}, {@link dev.trunkline.benchmark.LatencyRun},
 *       {@link dev.trunkline.benchmark.MemoryRun} and {@link dev.trunkline.benchmark.BatchRun} are
 *       those.
 *   <li>{@link dev.trunkline.benchmark.Server} is the durable PostgreSQL under them.
 *   <li>{@link dev.trunkline.benchmark.Load} drives a {@link dev.trunkline.benchmark.Contender}:
 *       the queue, or the bare table that is the limit of the machine.
 * </ul>
 *
 * <p>Machines are noisy, so what is compared takes turns in short slices of one run. Producers are
 * held back while too much is outstanding, so that a rate is what goes all the way through, counted
 * where messages are settled.
 */
@NullMarked
package dev.trunkline.benchmark;

import org.jspecify.annotations.NullMarked;
