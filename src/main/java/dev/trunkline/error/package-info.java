/**
 * What can go wrong, one exception per thing a caller can act on.
 *
 * <p>All are unchecked and share the root {@link dev.trunkline.error.TrunklineException}; each
 * carries the identity it speaks of as plain fields. Arguments that make no sense are refused with
 * {@link IllegalArgumentException} that names the argument and its value. This package imports
 * nothing of ours.
 */
@NullMarked
package dev.trunkline.error;

import org.jspecify.annotations.NullMarked;
