/**
 * When to try again: a pure function from the number of failed deliveries to a delay, and the
 * limit.
 */
@NullMarked
package dev.trunkline.retry;

import org.jspecify.annotations.NullMarked;
