/** What exceptions say. */
@NullMarked
package dev.trunkline.error;

import org.jspecify.annotations.NullMarked;
