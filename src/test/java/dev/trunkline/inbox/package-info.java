@NullMarked
package dev.trunkline.inbox;

import org.jspecify.annotations.NullMarked;
