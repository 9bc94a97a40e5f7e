// Energy, forces and Hessian products of a linear ACE potential: the compiled twin of defectgen/ace/model.py, which says what
// is computed; here is only how. Sums over neighbours and their adjoints are matrix products of small blocks in registers.
#ifndef DEFECTGEN_ENERGY_H
#define DEFECTGEN_ENERGY_H

#include "batch.h"
#include "polynomial.h"

// What is the same for every vector at a neighbour in Hessian products, see OneParticle.pull_along: slopes dS/de and dS_r/de, the
// curvature of S, S_r and S_rr, where S(r, e) is the sum of one-particle functions weighted by dV/dA.
typedef struct {
  lanes slope[3], mixed[3], curvature[5], along, bent;
} Fixed;

// Work arrays beside those of the batch.
typedef struct {
  lanes* weights;               // (kinds of radial functions, 2, harmonics)
  lanes *da, *product, *slope;  // of the polynomial
  // and for Hessian products
  lanes *change, *d_product, *d_slope;
  lanes *motion, *radial, *harmonic;  // of a vector: (neighbours, 4), (neighbours, padded), (neighbours, harmonics)
  Fixed* fixed;
} Work;

static void claim_work(Claim* claimed, const Model* model, const Stencils* in, int order, Work* work) {
  const Shape* shape = &model->functions.shape;
  const size_t k = most_neighbours(&model->functions, in), variables = model->functions.variables, nodes = model->graph.nodes;
  work->weights = claim_lanes(claimed, 2 * (order + 1) * shape->harmonics);
  work->da = claim_lanes(claimed, variables);
  work->product = claim_lanes(claimed, nodes);
  work->slope = claim_lanes(claimed, nodes);
  if (order < 2) return;
  work->change = claim_lanes(claimed, variables);
  work->d_product = claim_lanes(claimed, nodes);
  work->d_slope = claim_lanes(claimed, nodes);
  work->motion = claim_lanes(claimed, 4 * k);
  work->radial = claim_lanes(claimed, k * shape->padded);
  work->harmonic = claim_lanes(claimed, k * shape->harmonics);
  work->fixed = claim(claimed, k, sizeof(Fixed));
}

// The adjoint: weights of the harmonics, sum_n da[place + n] radial_o[k][n], for two neighbours k and k + 1 and the radial
// functions of `orders` kinds; weights is (orders, 2, harmonics).
INLINE void block_of_weights(const lanes* da0, const lanes* da1, int width, const lanes* const* radial, int padded, int orders,
                             int rows, lanes* weights, int harmonics) {
  lanes sum[3][2][2];
  for (int o = 0; o < orders; o++)
    for (int k = 0; k < 2; k++)
      for (int row = 0; row < rows; row++) sum[o][k][row] = all(0.0);
  for (int n = 0; n < width; n++)
    for (int o = 0; o < orders; o++)
      for (int k = 0; k < 2; k++) {
        const lanes r = radial[o][k * padded + n];
        sum[o][k][0] += da0[n] * r;
        if (rows > 1) sum[o][k][1] += da1[n] * r;
      }
  for (int o = 0; o < orders; o++)
    for (int k = 0; k < 2; k++)
      for (int row = 0; row < rows; row++) weights[(o * 2 + k) * harmonics + row] = sum[o][k][row];
}

INLINE void weights_of(const Functions* functions, int z, const lanes* da, const lanes* const* radial, int orders,
                       lanes* weights) {
  const Shape* shape = &functions->shape;
  const int32_t* place = functions->place + z * shape->harmonics;
  for (int l = 0; l <= shape->max_l; l++) {
    const int width = functions->width[z * (shape->max_l + 1) + l];
    for (int row = l * l; row < (l + 1) * (l + 1); row += 2) {
      const lanes* da0 = da + place[row];
      if (row + 1 < (l + 1) * (l + 1))
        block_of_weights(da0, da + place[row + 1], width, radial, shape->padded, orders, 2, weights + row, shape->harmonics);
      else
        block_of_weights(da0, da0, width, radial, shape->padded, orders, 1, weights + row, shape->harmonics);
    }
  }
}

INLINE void write_force(const Batch* batch, int k, const lanes p[3], int64_t slots, double* out) {
  for (int i = 0; i < LANES; i++) {
    const int64_t slot = batch->slot[k * LANES + i];
    if (slot < 0) continue;
    double* at = out + 3 * (batch->site[i] * slots + slot);
    for (int x = 0; x < 3; x++) at[x] = p[x][i];
  }
}

// ---- energy and forces of a batch; adds its virial unless that is NULL
FOR_EVERY_PROCESSOR static void energy_gradient(const Model* model, const Stencils* in, Batch* batch, const Work* work,
                                                double* value, double* out, double* virial) {
  const Functions* functions = &model->functions;
  const Shape* shape = &functions->shape;
  const double* weight = model->weight + (size_t)batch->centre * model->graph.start[model->graph.nodes];
  read_batch(functions, in, 1, batch);
  if (batch->count == 0) {
    for (int i = 0; i < LANES; i++)
      if (batch->site[i] >= 0) value[batch->site[i]] = model->one_body[batch->centre];
    return;
  }
  sums(functions, batch, batch->radial, batch->harmonics, 0, batch->a);
  const lanes v = polynomial(&model->graph, weight, batch->a, work->da, work->product, work->slope);
  for (int i = 0; i < LANES; i++)
    if (batch->site[i] >= 0) value[batch->site[i]] = v[i] + model->one_body[batch->centre];

  lanes moment[9];
  for (int x = 0; x < 9; x++) moment[x] = all(0.0);
  for (int z = 0; z < functions->species; z++)
    for (int pair = batch->start[z]; pair < batch->start[z + 1]; pair += 2) {
      const lanes* radial[2] = {batch->radial + (size_t)pair * shape->padded, batch->slope + (size_t)pair * shape->padded};
      weights_of(functions, z, work->da, radial, 2, work->weights);
      for (int k = pair; k < pair + 2; k++) {
        const lanes *across = work->weights + (k - pair) * shape->harmonics, *along = across + 2 * shape->harmonics;
        const lanes *c = batch->c + k * (shape->max_l + 1), *s = batch->s + k * (shape->max_l + 1),
                    *q = batch->q + k * shape->legendre;
        const lanes *unit = batch->unit + 3 * k, inverse = batch->inverse[k];
        Weighted turning, stretching;
        weighted(shape, across, c, s, q, 1, &turning);
        weighted(shape, along, c, s, q, 0, &stretching);
        lanes slope[3], p[3];
        slope_of(shape, &turning, slope);
        const lanes radially = value_of(shape, &stretching) - dot(unit, slope) * inverse;
        for (int x = 0; x < 3; x++) p[x] = slope[x] * inverse + unit[x] * radially;
        write_force(batch, k, p, in->slots, out);
        if (!virial) continue;
        for (int x = 0; x < 3; x++)
          for (int y = 0; y < 3; y++) moment[3 * x + y] -= p[x] * (unit[y] * batch->r[k]);
      }
    }
  if (virial)
    for (int x = 0; x < 9; x++)
      for (int i = 0; i < LANES; i++) virial[x] += moment[x][i];
}

// ---- Hessian products of a batch
FOR_EVERY_PROCESSOR static void hessian_products(const Model* model, const Stencils* in, Batch* batch, const Work* work,
                                                 int64_t vectors, const double* dg, double* out) {
  const Functions* functions = &model->functions;
  const Shape* shape = &functions->shape;
  const int lm = shape->harmonics, m = shape->max_l + 1;
  const double* weight = model->weight + (size_t)batch->centre * model->graph.start[model->graph.nodes];
  read_batch(functions, in, 2, batch);
  if (batch->count == 0) return;
  sums(functions, batch, batch->radial, batch->harmonics, 0, batch->a);
  polynomial(&model->graph, weight, batch->a, work->da, work->product, work->slope);
  for (int z = 0; z < functions->species; z++)
    for (int pair = batch->start[z]; pair < batch->start[z + 1]; pair += 2) {
      const size_t at = (size_t)pair * shape->padded;
      const lanes* jet[3] = {batch->radial + at, batch->slope + at, batch->bend + at};
      weights_of(functions, z, work->da, jet, 3, work->weights);
      for (int k = pair; k < pair + 2; k++) {
        const lanes *across = work->weights + (k - pair) * lm, *along = across + 2 * lm, *bent = along + 2 * lm;
        const lanes *c = batch->c + k * m, *s = batch->s + k * m, *q = batch->q + k * shape->legendre;
        Weighted turning, stretching, bending;
        weighted(shape, across, c, s, q, 2, &turning);
        weighted(shape, along, c, s, q, 1, &stretching);
        weighted(shape, bent, c, s, q, 0, &bending);
        Fixed* f = work->fixed + k;
        slope_of(shape, &turning, f->slope);
        slope_of(shape, &stretching, f->mixed);
        curvature_of(shape, &turning, f->curvature);
        f->along = value_of(shape, &stretching);
        f->bent = value_of(shape, &bending);
      }
    }

  const int64_t stride = 3 * in->sites * in->slots;
  for (int64_t vector = 0; vector < vectors; vector++, dg += stride, out += stride) {
    // how neighbours move: along the bond (motion 0) and the change of its direction (1 to 3)
    for (int k = 0; k < batch->count; k++) {
      const lanes* unit = batch->unit + 3 * k;
      lanes d[3] = {all(0.0), all(0.0), all(0.0)}, *move = work->motion + 4 * k;
      for (int i = 0; i < LANES; i++) {
        const int64_t slot = batch->slot[k * LANES + i];
        if (slot < 0) continue;
        for (int x = 0; x < 3; x++) d[x][i] = dg[3 * (batch->site[i] * in->slots + slot) + x];
      }
      move[0] = dot(unit, d);
      for (int x = 0; x < 3; x++) move[1 + x] = (d[x] - unit[x] * move[0]) * batch->inverse[k];
      const size_t at = (size_t)k * shape->padded;
      for (int n = 0; n < shape->padded; n++) work->radial[at + n] = batch->slope[at + n] * move[0];
      harmonics_along(shape, batch->c + k * m, batch->s + k * m, batch->q + k * shape->legendre, move + 1,
                      work->harmonic + (size_t)k * lm);
    }
    sums(functions, batch, work->radial, batch->harmonics, 0, work->change);
    sums(functions, batch, batch->radial, work->harmonic, 1, work->change);
    polynomial_along(&model->graph, weight, batch->a, work->change, work->product, work->slope, work->da, work->d_product,
                     work->d_slope);

    for (int z = 0; z < functions->species; z++)
      for (int pair = batch->start[z]; pair < batch->start[z + 1]; pair += 2) {
        const size_t at = (size_t)pair * shape->padded;
        const lanes* jet[2] = {batch->radial + at, batch->slope + at};
        weights_of(functions, z, work->da, jet, 2, work->weights);
        for (int k = pair; k < pair + 2; k++) {
          const lanes *across = work->weights + (k - pair) * lm, *along = across + 2 * lm;
          const lanes *c = batch->c + k * m, *s = batch->s + k * m, *q = batch->q + k * shape->legendre;
          const lanes *e = batch->unit + 3 * k, *de = work->motion + 4 * k + 1, dr = work->motion[4 * k],
                      inverse = batch->inverse[k];
          const Fixed* f = work->fixed + k;
          const lanes* h = f->curvature;  // xx zz yz xz xy
          Weighted turning, stretching;
          weighted(shape, across, c, s, q, 1, &turning);
          weighted(shape, along, c, s, q, 0, &stretching);
          lanes d_slope[3], p[3];
          slope_of(shape, &turning, d_slope);
          d_slope[0] += f->mixed[0] * dr + h[0] * de[0] + h[4] * de[1] + h[3] * de[2];
          d_slope[1] += f->mixed[1] * dr + h[4] * de[0] - h[0] * de[1] + h[2] * de[2];
          d_slope[2] += f->mixed[2] * dr + h[3] * de[0] + h[2] * de[1] + h[1] * de[2];
          const lanes d_along = value_of(shape, &stretching) + f->bent * dr + dot(f->mixed, de);
          const lanes radially = dot(e, f->slope), d_radially = dot(de, f->slope) + dot(e, d_slope);
          for (int x = 0; x < 3; x++) {
            const lanes turn = (f->slope[x] - e[x] * radially) * inverse;
            p[x] = (d_slope[x] - de[x] * radially - e[x] * d_radially - turn * dr) * inverse + d_along * e[x] + f->along * de[x];
          }
          write_force(batch, k, p, in->slots, out);
        }
      }
  }
}

#endif
