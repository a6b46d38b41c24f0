/**
 * The way to the database: connections and transactions, the statements' common form, the schema,
 * and notifications.
 *
 * <p>Not part of the public interface.
 *
 * <ul>
 *   <li>{@link dev.trunkline.internal.db.Database} hands out a {@link
 *       dev.trunkline.internal.db.Session}: on a connection of its own (each statement a
 *       transaction, or one transaction for all), or on the caller's, which it never commits, rolls
 *       back, closes or reconfigures.
 *   <li>{@link dev.trunkline.internal.db.Prelude} is what stands before our own hot statements in
 *       the same round trip.
 *   <li>{@link dev.trunkline.internal.db.Migrations} brings the schema up to date, or checks it.
 *   <li>{@link dev.trunkline.internal.db.Notifications} listens; losing one only costs time.
 * </ul>
 */
@NullMarked
package dev.trunkline.internal.db;

import org.jspecify.annotations.NullMarked;
