/** The library in the surroundings it has to live in: pools, callers, other processes, trouble. */
@NullMarked
package dev.trunkline.scenario;

import org.jspecify.annotations.NullMarked;
