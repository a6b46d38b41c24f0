/** What only the death of a process or of the server shows: real ones, killed for real. */
@NullMarked
package dev.trunkline.crash;

import org.jspecify.annotations.NullMarked;
