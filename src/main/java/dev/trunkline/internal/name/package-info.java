/** What the names of queues, topics and groups have in common. */
@NullMarked
package dev.trunkline.internal.name;

import org.jspecify.annotations.NullMarked;
