// Hessian products of site energies that are functions of sums over neighbours, from their derivatives at one place:
//   V''(k, l) = sum_mn curvature[m][n] first_m(k) (x) first_n(l) + [k = l] own(k),   out += D^T V'' D v.
#ifndef DEFECTGEN_SUMS_H
#define DEFECTGEN_SUMS_H

#include "lanes.h"

enum { MOST_SUMS = 32 };  // MOST in sums.py

// Of every site: the slopes of all sums, (sums, 3, slots), then xx, xy, xz, yy, yz, zz of `own`, (6, slots). Of functions of the
// distance: the slopes (sums, slots), w'' - w'/r and w'/r of the function w that `own` belongs to, and the unit vector, (5, slots).
typedef struct {
  int64_t sites, slots, sums;
  const int32_t* index;     // (sites, slots)
  const double* factors;    // (sites, 3 sums + 6, slots)
  const double* curvature;  // (sites, sums, sums)
} Factors;

FOR_EVERY_PROCESSOR static void product_of_radial_sums(const Factors* f, const double* v, double* out, double* restrict d,
                                                       double* restrict p) {
  const int64_t slots = f->slots, sums = f->sums;
  double *restrict dx = d, *restrict dy = d + slots, *restrict dz = d + 2 * slots, *restrict dn = p, *restrict pn = p + slots;
  for (int64_t i = 0; i < f->sites; i++) {
    const int32_t* index = f->index + i * slots;
    const double *factors = f->factors + i * (sums + 5) * slots, *along = factors + sums * slots, *across = along + slots;
    const double *nx = across + slots, *ny = nx + slots, *nz = ny + slots;
    for (int64_t k = 0; k < slots; k++) {
      const double* there = v + 3 * (int64_t)index[k];
      dx[k] = there[0] - v[3 * i], dy[k] = there[1] - v[3 * i + 1], dz[k] = there[2] - v[3 * i + 2];
    }
    for (int64_t k = 0; k < slots; k++) {
      dn[k] = nx[k] * dx[k] + ny[k] * dy[k] + nz[k] * dz[k];
      pn[k] = along[k] * dn[k];
    }
    double change[MOST_SUMS];
    for (int64_t m = 0; m < sums; m++) {
      const double* s = factors + m * slots;
      quad total = {0.0, 0.0, 0.0, 0.0};
      for (int64_t k = 0; k + 4 <= slots; k += 4)
        for (int n = 0; n < 4; n++) total[n] += s[k + n] * dn[k + n];
      change[m] = (total[0] + total[1]) + (total[2] + total[3]);
      for (int64_t k = slots - slots % 4; k < slots; k++) change[m] += s[k] * dn[k];
    }
    for (int64_t m = 0; m < sums; m++) {
      const double *row = f->curvature + (i * sums + m) * sums, *s = factors + m * slots;
      double by = 0.0;
      for (int64_t n = 0; n < sums; n++) by += row[n] * change[n];
      if (by == 0.0) continue;  // the energy is linear in this sum
      for (int64_t k = 0; k < slots; k++) pn[k] += by * s[k];
    }
    double x = 0.0, y = 0.0, z = 0.0;
    for (int64_t k = 0; k < slots; k++) {
      double* there = out + 3 * (int64_t)index[k];
      const double px = pn[k] * nx[k] + across[k] * dx[k], py = pn[k] * ny[k] + across[k] * dy[k];
      const double pz = pn[k] * nz[k] + across[k] * dz[k];
      there[0] += px, there[1] += py, there[2] += pz;
      x += px, y += py, z += pz;
    }
    out[3 * i] -= x, out[3 * i + 1] -= y, out[3 * i + 2] -= z;
  }
}

FOR_EVERY_PROCESSOR static void product_of_sums(const Factors* f, const double* v, double* out, double* restrict d,
                                                double* restrict p) {
  const int64_t slots = f->slots, sums = f->sums;
  double *restrict dx = d, *restrict dy = d + slots, *restrict dz = d + 2 * slots;
  double *restrict px = p, *restrict py = p + slots, *restrict pz = p + 2 * slots;
  for (int64_t i = 0; i < f->sites; i++) {
    const int32_t* index = f->index + i * slots;
    const double *factors = f->factors + i * (3 * sums + 6) * slots, *own = factors + 3 * sums * slots;
    for (int64_t k = 0; k < slots; k++) {
      const double* there = v + 3 * (int64_t)index[k];
      dx[k] = there[0] - v[3 * i], dy[k] = there[1] - v[3 * i + 1], dz[k] = there[2] - v[3 * i + 2];
    }
    for (int64_t k = 0; k < slots; k++) {
      px[k] = own[k] * dx[k] + own[slots + k] * dy[k] + own[2 * slots + k] * dz[k];
      py[k] = own[slots + k] * dx[k] + own[3 * slots + k] * dy[k] + own[4 * slots + k] * dz[k];
      pz[k] = own[2 * slots + k] * dx[k] + own[4 * slots + k] * dy[k] + own[5 * slots + k] * dz[k];
    }
    double change[MOST_SUMS];
    for (int64_t m = 0; m < sums; m++) {
      const double* s = factors + 3 * m * slots;
      quad total = {0.0, 0.0, 0.0, 0.0};
      for (int64_t k = 0; k + 4 <= slots; k += 4)
        for (int n = 0; n < 4; n++)
          total[n] += s[k + n] * dx[k + n] + s[slots + k + n] * dy[k + n] + s[2 * slots + k + n] * dz[k + n];
      change[m] = (total[0] + total[1]) + (total[2] + total[3]);
      for (int64_t k = slots - slots % 4; k < slots; k++)
        change[m] += s[k] * dx[k] + s[slots + k] * dy[k] + s[2 * slots + k] * dz[k];
    }
    for (int64_t m = 0; m < sums; m++) {
      const double *row = f->curvature + (i * sums + m) * sums, *s = factors + 3 * m * slots;
      double by = 0.0;
      for (int64_t n = 0; n < sums; n++) by += row[n] * change[n];
      if (by == 0.0) continue;  // the energy is linear in this sum
      for (int64_t k = 0; k < slots; k++) {
        px[k] += by * s[k];
        py[k] += by * s[slots + k];
        pz[k] += by * s[2 * slots + k];
      }
    }
    double x = 0.0, y = 0.0, z = 0.0;
    for (int64_t k = 0; k < slots; k++) {
      double* there = out + 3 * (int64_t)index[k];
      there[0] += px[k], there[1] += py[k], there[2] += pz[k];
      x += px[k], y += py[k], z += pz[k];
    }
    out[3 * i] -= x, out[3 * i + 1] -= y, out[3 * i + 2] -= z;
  }
}

#endif
