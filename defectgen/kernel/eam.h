// The embedded-atom method from tables of polynomials: V = F(sum rho) + 1/2 sum z / r, see defectgen/reference/eam.py.
#ifndef DEFECTGEN_EAM_H
#define DEFECTGEN_EAM_H

#include "cell.h"
#include "lanes.h"

typedef struct {
  int64_t species, intervals, powers, density_intervals, density_powers;
  double spacing, density_spacing, fraction, cutoff, tail;  // tail: width of the fade, 0 for none
  const double *radial, *embedding;
} Eam;

// Value, slope and, with order 2, curvature of sum_k c[k stride] x^k.
INLINE void piece(const double* c, int64_t powers, double x, int order, double v[3]) {
  v[0] = c[powers - 1], v[1] = v[2] = 0.0;
  for (int64_t k = powers - 2; k >= 0; k--) {
    if (order > 1) v[2] = v[2] * x + v[1];
    v[1] = v[1] * x + v[0];
    v[0] = v[0] * x + c[k];
  }
  v[2] *= 2.0;
}

INLINE int64_t interval(double x, int64_t intervals) {
  return !(x >= 1.0) ? 0 : x >= intervals - 1 ? intervals - 1 : (int64_t)x;
}

// f[0] f[1] f[2] times w of the fade over the last `tail`.
INLINE void faded(double r, const Eam* eam, double f[3]) {
  const double y = (eam->cutoff - r) / eam->tail;
  if (y >= 1.0) return;
  const double q = y * (1.0 - y), q2 = q * q, y2 = y * y;
  const double w0 = y2 * y2 * y2 * (462.0 + y * (-1980.0 + y * (3465.0 + y * (-3080.0 + y * (1386.0 - 252.0 * y)))));
  const double w1 = -2772.0 * q2 * q2 * q / eam->tail, w2 = 13860.0 * q2 * q2 * (1.0 - 2.0 * y) / (eam->tail * eam->tail);
  f[2] = f[2] * w0 + 2.0 * f[1] * w1 + f[0] * w2;
  f[1] = f[1] * w0 + f[0] * w1;
  f[0] *= w0;
}

// The density and half the pair energy of a neighbour, with their derivatives in r.
INLINE void bond_of(const Eam* eam, int64_t centre, int64_t neighbour, double r, int order, double rho[3], double pair[3]) {
  const double x = r / eam->spacing;
  const int64_t step = interval(x, eam->intervals);
  const double* table = eam->radial + ((centre * eam->species + neighbour) * eam->intervals + step) * 2 * eam->powers;
  double part = x - step, per = 1.0 / eam->spacing, z[3];
  if (part > eam->fraction) part = eam->fraction, per = 0.0;
  piece(table, eam->powers, part, order, rho);
  piece(table + eam->powers, eam->powers, part, order, z);
  rho[1] *= per, rho[2] *= per * per, z[1] *= per, z[2] *= per * per;
  if (eam->tail > 0.0) faded(r, eam, rho), faded(r, eam, z);
  const double u = 1.0 / r;
  pair[0] = 0.5 * z[0] * u;
  pair[1] = (0.5 * z[1] - pair[0]) * u;
  pair[2] = (0.5 * z[2] - 2.0 * pair[1]) * u;
}

INLINE void embed(const Eam* eam, int64_t centre, double density, double f[3]) {
  const int64_t powers = eam->density_powers, last = eam->density_intervals - 1;
  const double per = 1.0 / eam->density_spacing, end = eam->density_intervals * eam->density_spacing;
  const double* table = eam->embedding + centre * eam->density_intervals * powers;
  const int beyond = density >= end;
  const double x = density / eam->density_spacing;
  const int64_t step = beyond ? last : interval(x, eam->density_intervals);
  piece(table + step * powers, powers, beyond ? 1.0 : x - step, 2, f);
  f[1] *= per, f[2] *= per * per;
  if (beyond) f[0] += f[1] * (density - end), f[2] = 0.0;
}

// Work: nine numbers and a slot a neighbour. With `factors` what sums.h needs (of two sums), otherwise energies, forces, virial.
INLINE void eam_to_order(const Eam* eam, const Cell* cell, const double* reach, double* work, int64_t* slot, const Sums* out,
                         int order, double* factors, double* curvature) {
  const int64_t slots = cell->slots;
  double *g = work, *r = g + 3 * slots, *rho = r + slots, *pair = rho + 3 * slots;
  for (int64_t i = 0; i < cell->live; i++) {
    const int64_t centre = eam->species > 1 ? cell->kind[i] : 0, n = near_atom(cell, i, reach, g, r, slot);
    double density = 0.0, pairs = 0.0, f[3];
    for (int64_t k = 0; k < n; k++) {
      const int64_t other = eam->species > 1 ? cell->kind[cell->index[i * slots + slot[k]]] : 0;
      bond_of(eam, centre, other, r[k], order, rho + 3 * k, pair + 3 * k);
      density += rho[3 * k], pairs += pair[3 * k];
    }
    embed(eam, centre, density, f);
    if (order == 1) {
      out->energy[i] = f[0] + pairs;
      for (int64_t k = 0; k < n; k++) {
        const double slope = (f[1] * rho[3 * k + 1] + pair[3 * k + 1]) / r[k];
        for (int a = 0; a < 3; a++) rho[3 * k + a] = slope * g[3 * k + a];
      }
      push(cell, i, n, slot, g, rho, out);
      continue;
    }
    curvature[4 * i] = f[2];
    double* at = factors + 7 * i * slots;
    for (int64_t k = 0; k < n; k++) {
      const double u = 1.0 / r[k], across = (f[1] * rho[3 * k + 1] + pair[3 * k + 1]) * u;
      double* to = at + slot[k];
      to[0] = rho[3 * k + 1], to[slots] = pair[3 * k + 1];
      to[2 * slots] = f[1] * rho[3 * k + 2] + pair[3 * k + 2] - across, to[3 * slots] = across;
      for (int a = 0; a < 3; a++) to[(4 + a) * slots] = g[3 * k + a] * u;
    }
  }
}

FOR_EVERY_PROCESSOR static void eam_cell(const Eam* eam, const Cell* cell, const double* reach, double* work, int64_t* slot,
                                         const Sums* out, double* factors, double* curvature) {
  if (factors)
    eam_to_order(eam, cell, reach, work, slot, out, 2, factors, curvature);
  else
    eam_to_order(eam, cell, reach, work, slot, out, 1, NULL, NULL);
}

#endif
