/**
 * What consumers are made of, whatever they consume: deliveries that were claimed ahead, the
 * renewal of their leases, the settling of many at once, acks as part of transactions that are not
 * only ours.
 *
 * <p>Not part of the public interface.
 */
@NullMarked
package dev.trunkline.internal.work;

import org.jspecify.annotations.NullMarked;
