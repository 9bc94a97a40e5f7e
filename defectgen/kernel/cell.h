// A cell with its neighbour list, and what a potential gives of it.
#ifndef DEFECTGEN_CELL_H
#define DEFECTGEN_CELL_H

#include <math.h>
#include <stdint.h>

typedef struct {
  int64_t rows, slots, live;  // the first `live` rows are atoms
  const double *x, *box;      // (rows, 3), (3, 3)
  const int32_t *index, *shift;
  const uint8_t* mask;
  const int64_t* kind;
} Cell;

// Sums, all zero before.
typedef struct {
  double *energy, *force, *virial;  // (rows), (rows, 3), (3, 3)
} Sums;

// The vector to the neighbour in a place of the list.
static inline __attribute__((always_inline)) void vector_to(const Cell* cell, int64_t i, int64_t at, double d[3]) {
  const double *own = cell->x + 3 * i, *there = cell->x + 3 * (int64_t)cell->index[at];
  const int32_t* s = cell->shift + 3 * at;
  for (int a = 0; a < 3; a++) d[a] = there[a] - own[a];
  if (s[0] || s[1] || s[2])
    for (int a = 0; a < 3; a++) d[a] += s[0] * cell->box[a] + s[1] * cell->box[3 + a] + s[2] * cell->box[6 + a];
}

// Vectors g (A) to the neighbours of an atom within reach[kind of the neighbour], their lengths and slots; their number.
static inline __attribute__((always_inline)) int64_t near_atom(const Cell* cell, int64_t i, const double* reach, double* g,
                                                               double* r, int64_t* slot) {
  int64_t n = 0;
  for (int64_t k = 0; k < cell->slots; k++) {
    const int64_t at = i * cell->slots + k;
    if (!cell->mask[at]) continue;
    double d[3];
    vector_to(cell, i, at, d);
    const double length = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    // a position that is not a number is no reason to leave a neighbour out: it shows in what comes out
    if (length >= reach[cell->kind[cell->index[at]]]) continue;
    for (int a = 0; a < 3; a++) g[3 * n + a] = d[a];
    r[n] = length, slot[n++] = k;
  }
  return n;
}

// Adds the slopes p = dV/dg of the n bonds g of atom i.
static inline __attribute__((always_inline)) void push(const Cell* cell, int64_t i, int64_t n, const int64_t* slot,
                                                       const double* g, const double* p, const Sums* out) {
  double own[3] = {0.0}, moment[9] = {0.0};
  for (int64_t k = 0; k < n; k++, g += 3, p += 3) {
    double* force = out->force + 3 * (int64_t)cell->index[i * cell->slots + slot[k]];
    for (int a = 0; a < 3; a++) {
      own[a] += p[a], force[a] -= p[a];
      for (int b = 0; b < 3; b++) moment[3 * a + b] += p[a] * g[b];
    }
  }
  for (int a = 0; a < 3; a++) out->force[3 * i + a] += own[a];
  for (int a = 0; a < 9; a++) out->virial[a] -= moment[a];
}

#endif
