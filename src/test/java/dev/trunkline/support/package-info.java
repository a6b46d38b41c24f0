/**
 * What the tests stand on.
 *
 * <ul>
 *   <li>{@link dev.trunkline.support.PostgresTest} on a test class gives it a database of its own
 *       and the invariants' check after every test.
 *   <li>{@link dev.trunkline.support.TestDatabase} is that database; it comes as a parameter or a
 *       field.
 *   <li>{@link dev.trunkline.support.TestPostgres} is the server under it, one per test JVM.
 *   <li>{@link dev.trunkline.support.Awaits} waits for what happens at the same time; nothing
 *       sleeps.
 *   <li>{@link dev.trunkline.support.SecondJvm} is a process that a test may kill.
 * </ul>
 */
@NullMarked
package dev.trunkline.support;

import org.jspecify.annotations.NullMarked;
