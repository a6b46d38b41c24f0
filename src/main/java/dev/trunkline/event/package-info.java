/** What a Trunkline tells its application about: a listener, and the events that it is told of. */
@NullMarked
package dev.trunkline.event;

import org.jspecify.annotations.NullMarked;
