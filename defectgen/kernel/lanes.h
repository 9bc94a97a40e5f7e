// Numbers of several sites side by side: everything is computed for LANES sites at once, so that no sum runs across a register.
#ifndef DEFECTGEN_LANES_H
#define DEFECTGEN_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 4 };
typedef double lanes __attribute__((vector_size(8 * LANES)));

#define INLINE static inline __attribute__((always_inline))

// One binary for every processor of a family: the compiler writes the marked functions for each, the loader picks.
#if !defined(ONE_PROCESSOR) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__ELF__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_PROCESSOR
#endif

// Four of the eight numbers of two registers.
#ifdef __clang__
#define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (__typeof__((long long __attribute__((vector_size(32)))){0})){i, j, k, l})
#endif

INLINE lanes all(double x) {
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = x;
  return r;
}

INLINE lanes root(lanes x) {
  lanes r;
  for (int i = 0; i < LANES; i++) r[i] = sqrt(x[i]);
  return r;
}

INLINE lanes power(lanes x, int n) {
  lanes r = all(1.0);
  for (; n > 0; n >>= 1, x *= x)
    if (n & 1) r *= x;
  return r;
}

#endif
