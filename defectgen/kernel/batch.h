// LANES sites of one species: their neighbours within the cutoff, those of one species together, and sums over neighbours.
#ifndef DEFECTGEN_BATCH_H
#define DEFECTGEN_BATCH_H

#include "lanes.h"
#include "one_particle.h"

enum { TOGETHER = 16 / LANES };  // neighbours of which rows of design matrices take as many columns as stay in cache

// LANES sites of one species.
typedef struct {
  int centre;
  int64_t site[LANES];  // -1 for none
  int count;            // neighbours, dead lanes included
  int* start;           // (species + 1): where the neighbours of each species begin, in multiples of TOGETHER
  int64_t* slot;        // (count, LANES): -1 where a lane has none
  double* g;            // (LANES, slots, 3): of each lane what is within the cutoff, with slots and species
  int64_t *near, *kind;
  double* recursion;  // of harmonics
  lanes *unit, *r, *inverse, *live;
  lanes *radial, *slope, *bend;  // (count, padded)
  lanes *c, *s, *q, *harmonics;  // (count, ...)
  lanes* a;                      // sums over neighbours, (variables)
} Batch;

// ---- work arrays: one block a calling thread, kept from call to call, of which every thread at work gets a part
static _Thread_local char* arena = NULL;
static _Thread_local size_t arena_size = 0;

// Arrays are claimed twice by the same code: to count their bytes, and once the block is there, to place them.
typedef struct {
  char* block;  // NULL while counting
  size_t used;
} Claim;

static void* claim(Claim* claimed, size_t count, size_t size) {
  void* at = claimed->block ? claimed->block + claimed->used : NULL;
  claimed->used += (count * size + 63) & ~(size_t)63;
  return at;
}

INLINE lanes* claim_lanes(Claim* claimed, size_t count) { return claim(claimed, count, sizeof(lanes)); }

static int reserve(size_t bytes) {
  if (bytes <= arena_size) return 1;
  free(arena);
  arena = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
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
  batch->g = claim(claimed, 3 * LANES * in->slots, sizeof(double));
  batch->near = claim(claimed, LANES * in->slots, sizeof(int64_t));
  batch->kind = claim(claimed, LANES * in->slots, sizeof(int64_t));
  batch->recursion = claim(claimed, 2 * shape->legendre, sizeof(double));
  if (batch->recursion) recursion_of_harmonics(shape, batch->recursion);
  batch->unit = claim_lanes(claimed, 3 * k);
  batch->r = claim_lanes(claimed, k);
  batch->inverse = claim_lanes(claimed, k);
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
// Of one site the vectors to the neighbours within the cutoff, their slots and species; their number.
INLINE int near_site(const Stencils* in, int64_t site, double cutoff, double* g, int64_t* slot, int64_t* kind) {
  const double reach = cutoff * cutoff;
  const int64_t first = in->slots * site;
  int n = 0;
  for (int64_t j = 0; j < in->slots; j++) {
    double d[3];
    int64_t z;
    if (in->g) {
      for (int x = 0; x < 3; x++) d[x] = in->g[3 * (first + j) + x];
      z = in->neighbour[first + j];
    } else {
      if (!in->cell->mask[first + j]) continue;
      vector_to(in->cell, site, first + j, d);
      z = in->cell->kind[in->cell->index[first + j]];
    }
    for (int x = 0; x < 3; x++) g[3 * n + x] = d[x];
    slot[n] = j, kind[n] = z;
    // a position that is not a number is no reason to leave a neighbour out: it shows in what comes out
    n += !(d[0] * d[0] + d[1] * d[1] + d[2] * d[2] >= reach);
  }
  return n;
}

// The neighbours within the cutoff, species by species, with everything that depends on their positions alone.
INLINE void read_batch(const Functions* functions, const Stencils* in, int order, Batch* batch) {
  const Shape* shape = &functions->shape;
  const int64_t slots = in->slots;
  int found[LANES], k = 0;
  for (int i = 0; i < LANES; i++)
    found[i] = batch->site[i] < 0 ? 0
                                  : near_site(in, batch->site[i], shape->cutoff, batch->g + 3 * slots * i,
                                              batch->near + slots * i, batch->kind + slots * i);
  for (int z = 0; z < functions->species; z++) {
    batch->start[z] = k;
    int many[LANES], longest = 0;
    for (int i = 0; i < LANES; i++) {
      many[i] = 0;
      for (int j = 0; j < found[i]; j++) many[i] += batch->kind[slots * i + j] == z;
      longest = many[i] > longest ? many[i] : longest;
    }
    longest = (longest + TOGETHER - 1) / TOGETHER * TOGETHER;
    for (int i = 0; i < LANES; i++) {
      int n = k;
      for (int j = 0; j < found[i]; j++) {
        if (batch->kind[slots * i + j] != z) continue;
        const double* g = batch->g + 3 * (slots * i + j);
        for (int x = 0; x < 3; x++) batch->unit[3 * n + x][i] = g[x];
        batch->slot[n * LANES + i] = batch->near[slots * i + j];
        batch->live[n++][i] = 1.0;
      }
      for (; n < k + longest; n++) {
        for (int x = 0; x < 3; x++) batch->unit[3 * n + x][i] = x == 0 ? shape->cutoff : 0.0;
        batch->slot[n * LANES + i] = -1;
        batch->live[n][i] = 0.0;
      }
    }
    k += longest;
  }
  batch->start[functions->species] = batch->count = k;
  for (int z = 0; z < functions->species; z++) {
    const Transform transform = transform_of(shape, functions->r0[batch->centre * functions->species + z]);
    for (k = batch->start[z]; k < batch->start[z + 1]; k += PAIR) {
      for (int l = k; l < k + PAIR; l++) {
        lanes* unit = batch->unit + 3 * l;
        const lanes r = root(unit[0] * unit[0] + unit[1] * unit[1] + unit[2] * unit[2]), inverse = 1 / r;
        batch->r[l] = r, batch->inverse[l] = inverse;
        for (int x = 0; x < 3; x++) unit[x] *= inverse;
      }
      const size_t at = (size_t)k * shape->padded;
      radial_functions(shape, &transform, batch->r + k, batch->live + k, order, batch->radial + at, batch->slope + at,
                       order > 1 ? batch->bend + at : NULL);
      for (int l = k; l < k + PAIR; l++) {
        lanes *c = batch->c + l * (shape->max_l + 1), *s = batch->s + l * (shape->max_l + 1), *q = batch->q + l * shape->legendre;
        angular_functions(shape, batch->recursion, batch->unit + 3 * l, c, s, q);
        harmonics(shape, c, s, q, batch->harmonics + l * shape->harmonics);
      }
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

// ---- the sites of a call, in batches of one species
typedef struct {
  int64_t count;
  int64_t* site;  // (count, LANES): -1 for none
  int* centre;
} Batches;

static void claim_batches(Claim* claimed, int64_t sites, int species, Batches* batches) {
  const int64_t most = sites / LANES + species;
  batches->site = claim(claimed, most * LANES, sizeof(int64_t));
  batches->centre = claim(claimed, most, sizeof(int));
}

// The first `live` sites.
static void divide(const int64_t* centre, int64_t live, int species, Batches* batches) {
  int64_t b = 0;
  for (int z = 0; z < species; z++) {
    int n = 0;
    for (int64_t i = 0; i < live; i++) {
      if (centre[i] != z) continue;
      if (n == 0) batches->centre[b] = z;
      batches->site[LANES * b + n] = i;
      if (++n == LANES) n = 0, b++;
    }
    if (n == 0) continue;
    for (; n < LANES; n++) batches->site[LANES * b + n] = -1;
    b++;
  }
  batches->count = b;
}

static void take(const Batches* batches, int64_t b, Batch* batch) {
  batch->centre = batches->centre[b];
  for (int i = 0; i < LANES; i++) batch->site[i] = batches->site[LANES * b + i];
}

#endif
