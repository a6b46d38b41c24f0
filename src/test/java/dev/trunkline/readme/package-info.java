/** The documentation, checked: its Java compiles and runs, its links lead somewhere. */
@NullMarked
package dev.trunkline.readme;

import org.jspecify.annotations.NullMarked;
