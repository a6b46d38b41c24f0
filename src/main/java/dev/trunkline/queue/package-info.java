/** Queues. */
@NullMarked
package dev.trunkline.queue;

import org.jspecify.annotations.NullMarked;
