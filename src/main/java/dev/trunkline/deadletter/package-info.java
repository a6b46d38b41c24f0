/**
 * Dead letters: messages that were given up, kept with everything one needs to find out why, to
 * replay or to purge them.
 *
 * <pre>
 *   message --(rejected, limit reached, unreadable)--> dead_letter --replay--> message, ready again, attempts from zero
 *                                                           `-------purge---> gone
 * </pre>
 *
 * <p>Each arrow is one statement: a message is never in both places and never in neither. A crash
 * before the commit leaves it where it was; after, where it goes. {@link
 * dev.trunkline.deadletter.DeadLetters} is the way in from Java, the view {@code
 * trunkline.dead_letters} and the functions {@code trunkline.redrive} and {@code
 * trunkline.purge_dead_letters} from SQL.
 */
@NullMarked
package dev.trunkline.deadletter;

import org.jspecify.annotations.NullMarked;
