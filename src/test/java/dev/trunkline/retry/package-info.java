/** When a failed delivery is tried again. */
@NullMarked
package dev.trunkline.retry;

import org.jspecify.annotations.NullMarked;
