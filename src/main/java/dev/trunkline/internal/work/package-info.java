/**
 * What push consumers are made of, whatever they consume: deliveries that were claimed ahead, the
 * renewal of their leases, the settling of many at once.
 *
 * <p>Not part of the public interface.
 */
@NullMarked
package dev.trunkline.internal.work;

import org.jspecify.annotations.NullMarked;
