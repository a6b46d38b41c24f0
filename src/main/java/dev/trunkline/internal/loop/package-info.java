/**
 * Threads that repeat a step, and what wakes them.
 *
 * <p>Not part of the public interface. A step is a plain object whose {@code runOnce()} never runs
 * concurrently with itself; {@link dev.trunkline.internal.loop.Loop} owns the thread, its name, its
 * start and stop, and the back-off after an error.
 */
@NullMarked
package dev.trunkline.internal.loop;

import org.jspecify.annotations.NullMarked;
