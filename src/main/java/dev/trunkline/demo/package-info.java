/**
 * The founding story as a program: an order service and its five consumers, on one PostgreSQL.
 *
 * <p>{@link dev.trunkline.demo.DemoServer} is that PostgreSQL where no other is given.
 */
@NullMarked
package dev.trunkline.demo;

import org.jspecify.annotations.NullMarked;
