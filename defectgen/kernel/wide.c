// The kernel of linear ACE potentials with eight lanes, for processors that have registers of 512 bits.
#include "program.h"

#if !defined(ONE_PROCESSOR) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__ELF__)
#define LANES 8
#include "ace.h"

const Ace* defectgen_ace_wide(void) { return __builtin_cpu_supports("x86-64-v4") ? &at_this_width : NULL; }
#else
const Ace* defectgen_ace_wide(void) { return NULL; }
#endif
