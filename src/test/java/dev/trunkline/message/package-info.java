/** What a message carries, and what codecs make of it. */
@NullMarked
package dev.trunkline.message;

import org.jspecify.annotations.NullMarked;
