// Numbers of several sites side by side: everything is computed for LANES sites at once, so that no sum runs across a register.
#ifndef DEFECTGEN_LANES_H
#define DEFECTGEN_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef LANES
#define LANES 4  // or 8, see wide.c
#endif
typedef double quad __attribute__((vector_size(32)));
typedef double lanes __attribute__((vector_size(8 * LANES)));

#define INLINE static inline __attribute__((always_inline))

// One binary for every processor of a family: the compiler writes the marked functions for each, the loader picks. Eight lanes
// are for processors with registers for them.
#if LANES == 8
#define FOR_EVERY_PROCESSOR __attribute__((target("arch=x86-64-v4")))
#elif !defined(ONE_PROCESSOR) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__ELF__)
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_PROCESSOR
#endif

// Numbers of two registers.
#ifdef __clang__
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef long long places __attribute__((vector_size(8 * LANES)));
#define PICK(a, b, ...) __builtin_shuffle(a, b, (places){__VA_ARGS__})
#endif

// Keeps compilers from computing an address anew for each of its uses.
#define IN_REGISTER(pointer) __asm__("" : "+r"(pointer))

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
