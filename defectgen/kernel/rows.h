// Energies, forces and virial of every function of a basis: the compiled twin of ACEBasis.packed and of the sums over sites
// that defectgen/energy/total.py makes of it.
//
// With D = dB/dA and X = dA/dg the forces are the product D X of a sparse matrix, which has a row a function, and a dense one.
// X is taken four neighbours (TOGETHER) at a time, so that this part of it stays in cache while all functions pass; what they
// give is added to the rows of those atoms. One more part of X makes the virial and the force on the site itself.
#ifndef DEFECTGEN_ROWS_H
#define DEFECTGEN_ROWS_H

#include "batch.h"

enum { COLUMNS = 3 * TOGETHER };  // twelve accumulators fit into the sixteen registers of most processors

typedef struct {
  Functions functions;
  int nodes;  // products of variables: node 0 is 1, every other one a parent times a factor
  const int32_t *parent, *factor;
  int count, entries, used_count;  // functions of a species, entries of D, variables in use
  int channels;                    // of the basis
  const int32_t* start;            // (count, species + 1): entries of D, those for variables of one species together
  const int32_t *variable, *term;  // of each entry: its variable and (entries + 1) its first term
  const int32_t* column;           // of each entry: the number of its variable among those in use
  const int32_t *used, *owned;     // (used, 2) lm and n of variables in use, and (species + 1) the first of each species
  const int32_t* source;           // of each term: its product
  const double* coefficient;
  const double* part;      // of each function: one over its order, see Euler
  const int32_t* channel;  // (species, count)
} Basis;

typedef struct {
  lanes *product, *d, *value;  // (nodes), (entries), (count)
  lanes* turn;                 // (neighbours, 3, harmonics): the part of dY/dg along the sphere
  lanes* x;                    // -dA/dg, (blocks of neighbours, variables in use of their species, COLUMNS)
  lanes* moment;               // (variables in use, COLUMNS): moments -g (x) dA/dg, then the sum over neighbours of dA/dg
  lanes* y;                    // D x of a block, (COLUMNS, count)
  double* nowhere;             // a row for lanes without a neighbour
} RowWork;

static void claim_rows(Claim* claimed, const Basis* basis, const Stencils* in, RowWork* work) {
  const size_t k = most_neighbours(&basis->functions, in), harmonics = basis->functions.shape.harmonics;
  work->product = claim_lanes(claimed, basis->nodes);
  work->d = claim_lanes(claimed, basis->entries);
  work->value = claim_lanes(claimed, basis->count);
  work->turn = claim_lanes(claimed, 3 * k * harmonics);
  work->x = claim_lanes(claimed, 3 * k * basis->used_count);
  work->moment = claim_lanes(claimed, (size_t)COLUMNS * basis->used_count);
  work->y = claim_lanes(claimed, (size_t)COLUMNS * basis->count);
  work->nowhere = claim(claimed, 3 * (size_t)basis->channels, sizeof(double));
}

// dA/dg of one variable at one neighbour.
INLINE void derivative(lanes radial, lanes slope, lanes harmonic, const lanes* unit, const lanes* turn, int harmonics,
                       lanes d[3]) {
  const lanes along = slope * harmonic;
  for (int a = 0; a < 3; a++) d[a] = along * unit[a] + radial * turn[a * harmonics];
}

INLINE void derivatives(const Basis* basis, const Batch* batch, RowWork* work) {
  const Functions* functions = &basis->functions;
  const Shape* shape = &functions->shape;
  const int lm = shape->harmonics, m = shape->max_l + 1;
  for (int k = 0; k < batch->count; k++) {
    const lanes *unit = batch->unit + 3 * k, inverse = 1 / batch->r[k];
    for (int a = 0; a < 3; a++) {
      lanes d[3];
      for (int b = 0; b < 3; b++) d[b] = -unit[a] * unit[b] * inverse;
      d[a] += inverse;
      harmonics_along(shape, batch->c + k * m, batch->s + k * m, batch->q + k * shape->legendre, d,
                      work->turn + ((size_t)3 * k + a) * lm);
    }
  }
  lanes* x = work->x;
  for (int z = 0; z < functions->species; z++) {
    const int first = basis->owned[z], count = basis->owned[z + 1] - first;
    for (int v = 0; v < count; v++) {
      const int32_t* labels = basis->used + 2 * (first + v);
      const int row = labels[0], n = labels[1];
      lanes sum[3], moment[9];
      for (int a = 0; a < 3; a++) sum[a] = all(0.0);
      for (int a = 0; a < 9; a++) moment[a] = all(0.0);
      for (int k = batch->start[z]; k < batch->start[z + 1]; k++) {
        const size_t at = (size_t)k * shape->padded + n, place = k - batch->start[z];
        const lanes* unit = batch->unit + 3 * k;
        lanes d[3], *to = x + (place / TOGETHER * count + v) * COLUMNS + 3 * (place % TOGETHER);
        derivative(batch->radial[at], batch->slope[at], batch->harmonics[(size_t)k * lm + row], unit,
                   work->turn + (size_t)3 * k * lm + row, lm, d);
        for (int b = 0; b < 3; b++) {
          to[b] = -d[b];
          sum[b] += d[b];
          const lanes turned = d[b] * batch->r[k];
          for (int a = 0; a < 3; a++) moment[3 * b + a] -= turned * unit[a];
        }
      }
      lanes* to = work->moment + (size_t)(first + v) * COLUMNS;
      for (int a = 0; a < 9; a++) to[a] = moment[a];
      for (int a = 0; a < 3; a++) to[9 + a] = sum[a];
    }
    x += (size_t)(batch->start[z + 1] - batch->start[z]) * 3 * count;
  }
}

// D, entry by entry, and the functions themselves: sum_v A_v dB/dA_v over the order.
INLINE void entries(const Basis* basis, const Batch* batch, RowWork* work) {
  work->product[0] = all(1.0);
  for (int i = 1; i < basis->nodes; i++) work->product[i] = work->product[basis->parent[i]] * batch->a[basis->factor[i]];
  const int species = basis->functions.species;
  for (int c = 0; c < basis->count; c++) {
    const int32_t* start = basis->start + c * (species + 1);
    lanes value = all(0.0);
    for (int e = start[0]; e < start[species]; e++) {
      lanes sum = all(0.0);
      for (int t = basis->term[e]; t < basis->term[e + 1]; t++) sum += basis->coefficient[t] * work->product[basis->source[t]];
      work->d[e] = sum;
      value += sum * batch->a[basis->variable[e]];
    }
    work->value[c] = value * basis->part[c];
  }
}

// y = D x: for functions c the sum over their entries from[c] .. to[c], in strides of species + 1.
INLINE void multiply(const Basis* basis, const lanes* d, const lanes* x, const int32_t* from, const int32_t* to, lanes* y) {
  const int stride = basis->functions.species + 1, count = basis->count;
  for (int c = 0; c < count; c++, from += stride, to += stride) {
    lanes sum[COLUMNS];
    for (int j = 0; j < COLUMNS; j++) sum[j] = all(0.0);
    for (int e = *from; e < *to; e++) {
      const lanes by = d[e], *row = x + COLUMNS * (ptrdiff_t)basis->column[e];
      sum[0] += by * row[0], sum[1] += by * row[1], sum[2] += by * row[2], sum[3] += by * row[3];
      sum[4] += by * row[4], sum[5] += by * row[5], sum[6] += by * row[6], sum[7] += by * row[7];
      sum[8] += by * row[8], sum[9] += by * row[9], sum[10] += by * row[10], sum[11] += by * row[11];
    }
    for (int j = 0; j < COLUMNS; j++) y[j * count + c] = sum[j];
  }
}

// Adds the numbers of all functions to one row a site. Where four functions have four channels that follow each other, they are
// turned from a register a function to a register a site (there are four lanes).
INLINE void add(const Basis* basis, const lanes* y, const int32_t* channel, double* const row[LANES]) {
  int c = 0;
  for (; c + 4 <= basis->count; c += 4) {
    const int at = channel[c];
    if (channel[c + 1] != at + 1 || channel[c + 2] != at + 2 || channel[c + 3] != at + 3) {
      for (int f = c; f < c + 4; f++)
        for (int i = 0; i < LANES; i++) row[i][channel[f]] += y[f][i];
      continue;
    }
    const lanes ab = PICK(y[c], y[c + 1], 0, 4, 2, 6), ba = PICK(y[c], y[c + 1], 1, 5, 3, 7);
    const lanes cd = PICK(y[c + 2], y[c + 3], 0, 4, 2, 6), dc = PICK(y[c + 2], y[c + 3], 1, 5, 3, 7);
    const lanes site[4] = {PICK(ab, cd, 0, 1, 4, 5), PICK(ba, dc, 0, 1, 4, 5), PICK(ab, cd, 2, 3, 6, 7),
                           PICK(ba, dc, 2, 3, 6, 7)};
    for (int i = 0; i < LANES; i++) {
      lanes sum;
      memcpy(&sum, row[i] + at, sizeof sum);
      sum += site[i];
      memcpy(row[i] + at, &sum, sizeof sum);
    }
  }
  for (; c < basis->count; c++)
    for (int i = 0; i < LANES; i++) row[i][channel[c]] += y[c][i];
}

FOR_EVERY_PROCESSOR static void rows_of_batch(const Basis* basis, const Stencils* in, const int32_t* index, Batch* batch,
                                              RowWork* work, double* total, double* forces, double* virial) {
  const Functions* functions = &basis->functions;
  const int32_t* channel = basis->channel + (size_t)batch->centre * basis->count;
  const int species = functions->species;
  for (int i = 0; i < LANES; i++) total[batch->centre] += batch->site[i] >= 0;
  read_batch(functions, in, 1, batch);
  if (batch->count == 0) return;
  sums(functions, batch, batch->radial, batch->harmonics, 0, batch->a);
  derivatives(basis, batch, work);
  entries(basis, batch, work);
  for (int c = 0; c < basis->count; c++)
    for (int i = 0; i < LANES; i++) total[channel[c]] += work->value[c][i];

  const size_t width = basis->channels;
  const lanes* x = work->x;
  double* row[LANES];
  for (int z = 0; z < species; z++) {
    const int first = basis->owned[z], count = basis->owned[z + 1] - first;
    for (int block = batch->start[z]; block < batch->start[z + 1]; block += TOGETHER, x += (size_t)COLUMNS * count) {
      multiply(basis, work->d, x - COLUMNS * (ptrdiff_t)first, basis->start + z, basis->start + z + 1, work->y);
      for (int j = 0; j < COLUMNS; j++) {
        for (int i = 0; i < LANES; i++) {
          const int64_t slot = batch->slot[(block + j / 3) * LANES + i];
          row[i] = slot < 0 ? work->nowhere : forces + width * (3 * (size_t)index[batch->site[i] * in->slots + slot] + j % 3);
        }
        add(basis, work->y + (size_t)j * basis->count, channel, row);
      }
    }
  }
  multiply(basis, work->d, work->moment, basis->start, basis->start + species, work->y);
  for (int j = 0; j < COLUMNS; j++) {  // 0 to 8 the virial, 9 to 11 the force on the site
    for (int i = 0; i < LANES; i++)
      row[i] = batch->site[i] < 0 ? work->nowhere : j < 9 ? virial + width * j : forces + width * (3 * batch->site[i] + j - 9);
    add(basis, work->y + (size_t)j * basis->count, channel, row);
  }
}

#endif
