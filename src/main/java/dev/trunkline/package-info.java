/**
 * Trunkline: durable queues inside the PostgreSQL that a service already has. {@link
 * dev.trunkline.Trunkline} is the way in; it wires what is below and holds no SQL.
 */
@NullMarked
package dev.trunkline;

import org.jspecify.annotations.NullMarked;
