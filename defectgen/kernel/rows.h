// Energies, forces and virial of every function of a basis: the compiled twin of ACEBasis.packed and of the sums over sites
// that defectgen/energy/total.py makes of it.
//
// With D = dB/dA and X = dA/dg the forces are the product D X of a sparse matrix, which has a row a function, and a dense one.
// X is taken a few neighbours (TOGETHER) at a time, so that this part of it stays in cache while all functions pass; what LANES of
// them give is turned and added to the rows of those atoms. One more part of X makes the virial and the force on the site itself.
#ifndef DEFECTGEN_ROWS_H
#define DEFECTGEN_ROWS_H

#include "batch.h"

enum { COLUMNS = 3 * TOGETHER, MOMENTS_AND_FORCE = 12 };  // twelve accumulators fit into the sixteen registers of most processors

typedef struct {
  lanes *product, *d, *value;  // (nodes), (entries), (count)
  lanes* turn;                 // (neighbours, 3, harmonics): the part of dY/dg along the sphere
  lanes* x;                    // -dA/dg, (blocks of neighbours, variables in use of their species, COLUMNS)
  lanes* moment;               // (variables in use, 12): moments -g (x) dA/dg, then the sum over neighbours of dA/dg
  double* nowhere;             // a row for lanes without a neighbour
} RowWork;

static void claim_rows(Claim* claimed, const Basis* basis, const Stencils* in, RowWork* work) {
  const size_t k = most_neighbours(&basis->functions, in), harmonics = basis->functions.shape.harmonics;
  work->product = claim_lanes(claimed, basis->nodes);
  work->d = claim_lanes(claimed, basis->entries);
  work->value = claim_lanes(claimed, basis->count);
  work->turn = claim_lanes(claimed, 3 * k * harmonics);
  work->x = claim_lanes(claimed, 3 * k * basis->used_count);
  work->moment = claim_lanes(claimed, (size_t)MOMENTS_AND_FORCE * basis->used_count);
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
    const lanes *unit = batch->unit + 3 * k, inverse = batch->inverse[k];
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
      lanes* to = work->moment + (size_t)(first + v) * MOMENTS_AND_FORCE;
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

// LANES registers, of a function each, turned into registers of a site each.
INLINE void turn(const lanes y[LANES], lanes site[LANES]) {
#if LANES == 4
  const lanes ab = PICK(y[0], y[1], 0, 4, 2, 6), ba = PICK(y[0], y[1], 1, 5, 3, 7);
  const lanes cd = PICK(y[2], y[3], 0, 4, 2, 6), dc = PICK(y[2], y[3], 1, 5, 3, 7);
  site[0] = PICK(ab, cd, 0, 1, 4, 5), site[1] = PICK(ba, dc, 0, 1, 4, 5);
  site[2] = PICK(ab, cd, 2, 3, 6, 7), site[3] = PICK(ba, dc, 2, 3, 6, 7);
#else
  lanes two[8], four[8];  // of two functions, even and odd sites; of four
  for (int f = 0; f < 8; f += 2) {
    two[f] = PICK(y[f], y[f + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    two[f + 1] = PICK(y[f], y[f + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int f = 0; f < 8; f += 4)
    for (int odd = 0; odd < 2; odd++) {
      four[f + odd] = PICK(two[f + odd], two[f + 2 + odd], 0, 1, 8, 9, 4, 5, 12, 13);
      four[f + 2 + odd] = PICK(two[f + odd], two[f + 2 + odd], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int k = 0; k < 4; k++) {
    site[k] = PICK(four[k], four[4 + k], 0, 1, 2, 3, 8, 9, 10, 11);
    site[4 + k] = PICK(four[k], four[4 + k], 4, 5, 6, 7, 12, 13, 14, 15);
  }
#endif
}

enum { GROUP = 4 * LANES };  // functions whose numbers are kept until they are added: a few lines of cache in every row

// Adds the numbers of `many` functions to one row a site. Where LANES of them have channels that follow each other, they are
// turned, see above.
INLINE void add(const lanes* y, int many, const int32_t* channel, double* const row[LANES]) {
  int f = 0;
  for (; f + LANES <= many; f += LANES) {
    int follow = 1;
    for (int k = 1; k < LANES; k++) follow &= channel[f + k] == channel[f] + k;
    if (!follow) {
      for (int k = f; k < f + LANES; k++)
        for (int i = 0; i < LANES; i++) row[i][channel[k]] += y[k][i];
      continue;
    }
    lanes site[LANES];
    turn(y + f, site);
    for (int i = 0; i < LANES; i++) {
      lanes sum;
      memcpy(&sum, row[i] + channel[f], sizeof sum);
      sum += site[i];
      memcpy(row[i] + channel[f], &sum, sizeof sum);
    }
  }
  for (; f < many; f++)
    for (int i = 0; i < LANES; i++) row[i][channel[f]] += y[f][i];
}

// Adds D x to one row a column and site: for function c the sum over the entries from[c] .. to[c], in strides of species + 1.
INLINE void multiply_and_add(const Basis* basis, const lanes* d, const lanes* x, int columns, const int32_t* from,
                             const int32_t* to, const int32_t* channel, double* const (*row)[LANES]) {
  const int stride = basis->functions.species + 1;
  for (int c = 0; c < basis->count; c += GROUP) {
    const int many = basis->count - c < GROUP ? basis->count - c : GROUP;
    lanes y[MOMENTS_AND_FORCE][GROUP];
    for (int f = 0; f < many; f++, from += stride, to += stride) {
      lanes sum[MOMENTS_AND_FORCE];
      for (int j = 0; j < columns; j++) sum[j] = all(0.0);
      for (int e = *from; e < *to; e++) {
        const lanes by = d[e], *at = x + columns * (ptrdiff_t)basis->column[e];
        IN_REGISTER(at);
        for (int j = 0; j < columns; j++) sum[j] += by * at[j];
      }
      for (int j = 0; j < columns; j++) y[j][f] = sum[j];
    }
    for (int j = 0; j < columns; j++) add(y[j], many, channel + c, row[j]);
  }
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
  double* row[MOMENTS_AND_FORCE][LANES];
  for (int z = 0; z < species; z++) {
    const int first = basis->owned[z], count = basis->owned[z + 1] - first;
    for (int block = batch->start[z]; block < batch->start[z + 1]; block += TOGETHER, x += (size_t)COLUMNS * count) {
      for (int j = 0; j < COLUMNS; j++)
        for (int i = 0; i < LANES; i++) {
          const int64_t slot = batch->slot[(block + j / 3) * LANES + i];
          row[j][i] = slot < 0 ? work->nowhere : forces + width * (3 * (size_t)index[batch->site[i] * in->slots + slot] + j % 3);
        }
      multiply_and_add(basis, work->d, x - COLUMNS * (ptrdiff_t)first, COLUMNS, basis->start + z, basis->start + z + 1, channel,
                       row);
    }
  }
  for (int j = 0; j < MOMENTS_AND_FORCE; j++)  // 0 to 8 the virial, 9 to 11 the force on the site
    for (int i = 0; i < LANES; i++)
      row[j][i] = batch->site[i] < 0 ? work->nowhere : j < 9 ? virial + width * j : forces + width * (3 * batch->site[i] + j - 9);
  multiply_and_add(basis, work->d, work->moment, MOMENTS_AND_FORCE, basis->start, basis->start + species, channel, row);
}

#endif
