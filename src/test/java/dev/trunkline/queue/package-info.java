/** What a queue promises, on a real PostgreSQL: {@link dev.trunkline.queue.QueueFixture} first. */
@NullMarked
package dev.trunkline.queue;

import org.jspecify.annotations.NullMarked;
