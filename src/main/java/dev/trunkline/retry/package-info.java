/**
 * When to try again: a pure function from the number of failed deliveries to a delay, the limit,
 * and what happens at the limit where order is kept.
 */
@NullMarked
package dev.trunkline.retry;

import org.jspecify.annotations.NullMarked;
