/** What is sent: the message, its id, and the codecs that turn values into payloads and back. */
@NullMarked
package dev.trunkline.message;

import org.jspecify.annotations.NullMarked;
