/** What becomes of messages that were given up. */
@NullMarked
package dev.trunkline.deadletter;

import org.jspecify.annotations.NullMarked;
