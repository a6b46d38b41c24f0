/** The shape of the code, checked: layers, names, sizes, and what must not be used. */
@NullMarked
package dev.trunkline.architecture;

import org.jspecify.annotations.NullMarked;
