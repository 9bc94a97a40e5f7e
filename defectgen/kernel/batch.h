// LANES sites of one species: their neighbours within the cutoff, those of one species together, and sums over neighbours.
#ifndef DEFECTGEN_BATCH_H
#define DEFECTGEN_BATCH_H

#include "lanes.h"
#include "one_particle.h"

enum { TOGETHER = 4 };  // neighbours that are taken at once

// One-particle functions of all species, as numbered variables: n runs fastest, four radial functions at a time.
typedef struct {
  Shape shape;
  int species;
  int variables;
  const double* r0;      // (species, species)
  const int32_t* place;  // (species, harmonics): variable of n = 0
  const int32_t* width;  // (species, max_l + 1): radial functions, a multiple of 4
} Functions;

typedef struct {
  int64_t sites, slots;
  const double* g;
  const int64_t *centre, *neighbour;
} Stencils;

// LANES sites of one species.
typedef struct {
  int centre;
  int64_t site[LANES];  // -1 for none
  int count;            // neighbours, dead lanes included
  int* start;           // (species + 1): where the neighbours of each species begin, in multiples of TOGETHER
  int64_t* slot;        // (count, LANES): -1 where a lane has none
  lanes *unit, *r, *live;
  lanes *radial, *slope, *bend;  // (count, padded)
  lanes *c, *s, *q, *harmonics;  // (count, ...)
  lanes* a;                      // sums over neighbours, (variables)
} Batch;

// ---- work arrays: one block a thread, kept from call to call
static _Thread_local char* arena = NULL;
static _Thread_local size_t arena_size = 0;

// Arrays are claimed twice by the same code: to count their bytes, and once the block is there, to place them.
typedef struct {
  size_t used;
} Claim;

static void* claim(Claim* claimed, size_t count, size_t size) {
  void* at = arena ? arena + claimed->used : NULL;
  claimed->used += (count * size + 63) & ~(size_t)63;
  return at;
}

INLINE lanes* claim_lanes(Claim* claimed, size_t count) { return claim(claimed, count, sizeof(lanes)); }

static int reserve(size_t bytes) {
  if (bytes <= arena_size) return 1;
  free(arena);
  arena = aligned_alloc(64, bytes);
  arena_size = arena ? bytes : 0;
  return arena != NULL;
}

// Neighbours of a batch at most: its lanes may have them of different species, and their number is rounded up for each.
INLINE size_t most_neighbours(const Functions* functions, const Stencils* in) {
  const int together = functions->species < LANES ? functions->species : LANES;
  return together * in->slots + TOGETHER * functions->species;
}

static void claim_batch(Claim* claimed, const Functions* functions, const Stencils* in, int order, Batch* batch) {
  const Shape* shape = &functions->shape;
  const size_t k = most_neighbours(functions, in);
  batch->start = claim(claimed, functions->species + 1, sizeof(int));
  batch->slot = claim(claimed, k * LANES, sizeof(int64_t));
  batch->unit = claim_lanes(claimed, 3 * k);
  batch->r = claim_lanes(claimed, k);
  batch->live = claim_lanes(claimed, k);
  batch->radial = claim_lanes(claimed, k * shape->padded);
  batch->slope = claim_lanes(claimed, k * shape->padded);
  batch->bend = order > 1 ? claim_lanes(claimed, k * shape->padded) : NULL;
  batch->c = claim_lanes(claimed, k * (shape->max_l + 1));
  batch->s = claim_lanes(claimed, k * (shape->max_l + 1));
  batch->q = claim_lanes(claimed, k * shape->legendre);
  batch->harmonics = claim_lanes(claimed, k * shape->harmonics);
  batch->a = claim_lanes(claimed, functions->variables);
}

// ---- reading
// The neighbours within the cutoff, species by species, with everything that depends on their positions alone.
INLINE void read_batch(const Functions* functions, const Stencils* in, int order, Batch* batch) {
  const Shape* shape = &functions->shape;
  const double reach = shape->cutoff * shape->cutoff;
  int k = 0;
  for (int z = 0; z < functions->species; z++) {
    batch->start[z] = k;
    int longest = 0;
    for (int i = 0; i < LANES; i++) {
      int n = 0;
      if (batch->site[i] >= 0) {
        const double* g = in->g + 3 * in->slots * batch->site[i];
        const int64_t* neighbour = in->neighbour + in->slots * batch->site[i];
        for (int64_t j = 0; j < in->slots; j++, g += 3)
          // a position that is not a number is no reason to leave a neighbour out: it shows in what comes out
          if (neighbour[j] == z && !(g[0] * g[0] + g[1] * g[1] + g[2] * g[2] >= reach)) batch->slot[(k + n++) * LANES + i] = j;
      }
      // lanes come one after another: what was written beyond the end of a shorter lane is marked below
      batch->live[k][i] = n;
      longest = n > longest ? n : longest;
    }
    const lanes found = batch->live[k];
    longest = (longest + TOGETHER - 1) / TOGETHER * TOGETHER;
    for (int n = 0; n < longest; n++)
      for (int i = 0; i < LANES; i++) {
        const int live = n < found[i];
        batch->live[k + n][i] = live;
        const double* g = live ? in->g + 3 * (in->slots * batch->site[i] + batch->slot[(k + n) * LANES + i]) : NULL;
        if (!live) batch->slot[(k + n) * LANES + i] = -1;
        for (int x = 0; x < 3; x++) batch->unit[3 * (k + n) + x][i] = live ? g[x] : x == 0 ? shape->cutoff : 0.0;
      }
    k += longest;
  }
  batch->start[functions->species] = batch->count = k;
  for (int z = 0; z < functions->species; z++) {
    const Transform transform = transform_of(shape, functions->r0[batch->centre * functions->species + z]);
    for (k = batch->start[z]; k < batch->start[z + 1]; k++) {
      lanes* unit = batch->unit + 3 * k;
      const lanes r = root(unit[0] * unit[0] + unit[1] * unit[1] + unit[2] * unit[2]), inverse = 1 / r;
      batch->r[k] = r;
      for (int x = 0; x < 3; x++) unit[x] *= inverse;
      const size_t at = (size_t)k * shape->padded;
      radial_functions(shape, &transform, r, batch->live[k], order, batch->radial + at, batch->slope + at,
                       order > 1 ? batch->bend + at : NULL);
      lanes *c = batch->c + k * (shape->max_l + 1), *s = batch->s + k * (shape->max_l + 1), *q = batch->q + k * shape->legendre;
      angular_functions(shape, unit, c, s, q);
      harmonics(shape, c, s, q, batch->harmonics + k * shape->harmonics);
    }
  }
}

// ---- sums over neighbours
// a[place + n] (+)= sum_k radial[k][n] harmonic[k][row] for 1 or 2 rows and 4 radial functions.
INLINE void block_of_sums(int from, int to, const lanes* radial, int padded, const lanes* harmonic, int harmonics, int rows,
                          int add, lanes* a0, lanes* a1) {
  lanes sum[2][4];
  for (int n = 0; n < 4; n++) sum[0][n] = add ? a0[n] : all(0.0), sum[1][n] = add && rows > 1 ? a1[n] : all(0.0);
  for (int k = from; k < to; k++) {
    const lanes *r = radial + (size_t)k * padded, *y = harmonic + (size_t)k * harmonics;
    for (int n = 0; n < 4; n++) {
      sum[0][n] += y[0] * r[n];
      if (rows > 1) sum[1][n] += y[1] * r[n];
    }
  }
  for (int n = 0; n < 4; n++) {
    a0[n] = sum[0][n];
    if (rows > 1) a1[n] = sum[1][n];
  }
}

INLINE void sums(const Functions* functions, const Batch* batch, const lanes* radial, const lanes* harmonic, int add, lanes* a) {
  const Shape* shape = &functions->shape;
  for (int z = 0; z < functions->species; z++) {
    const int from = batch->start[z], to = batch->start[z + 1];
    const int32_t* place = functions->place + z * shape->harmonics;
    for (int l = 0; l <= shape->max_l; l++)
      for (int row = l * l; row < (l + 1) * (l + 1); row += 2)
        for (int n = 0; n < functions->width[z * (shape->max_l + 1) + l]; n += 4) {
          lanes* a0 = a + place[row] + n;
          if (row + 1 < (l + 1) * (l + 1))
            block_of_sums(from, to, radial + n, shape->padded, harmonic + row, shape->harmonics, 2, add, a0,
                          a + place[row + 1] + n);
          else
            block_of_sums(from, to, radial + n, shape->padded, harmonic + row, shape->harmonics, 1, add, a0, a0);
        }
  }
}

INLINE lanes dot(const lanes* a, const lanes* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// The next sites of one species among the first `live`, from place `*next` on; their number, 0 when all are done.
static int fill(const Stencils* in, int64_t live, int centre, int64_t* next, Batch* batch) {
  int n = 0;
  for (; *next < live && n < LANES; ++*next)
    if (in->centre[*next] == centre) batch->site[n++] = *next;
  for (int i = n; i < LANES; i++) batch->site[i] = -1;
  batch->centre = centre;
  return n;
}

#endif
