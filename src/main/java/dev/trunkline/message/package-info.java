/**
 * What is sent: the message, its id, and the codecs that turn values into payloads and back; and
 * the outcome, by which a handler says what becomes of it.
 */
@NullMarked
package dev.trunkline.message;

import org.jspecify.annotations.NullMarked;
