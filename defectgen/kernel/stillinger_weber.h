// The Stillinger-Weber potential by its pairs of bonds, see defectgen/reference/stillinger_weber.py.
#ifndef DEFECTGEN_STILLINGER_WEBER_H
#define DEFECTGEN_STILLINGER_WEBER_H

#include "cell.h"
#include "lanes.h"

typedef struct {
  int64_t species;
  const double *well, *core, *sigma, *reach, *decay, *p, *q;  // (species, species)
  const double *stiffness, *cos0;                             // (species, species, species), centre first
} StillingerWeber;

INLINE double whole_power(double x, double n) {
  if (n != (int)n || n < 0 || n > 32) return pow(x, n);
  double y = 1.0;
  for (int k = (int)n; k > 0; k >>= 1, x *= x)
    if (k & 1) y *= x;
  return y;
}

// Work: nine numbers and a slot a neighbour.
FOR_EVERY_PROCESSOR static void stillinger_weber_cell(const StillingerWeber* sw, const Cell* cell, double* work, int64_t* slot,
                                                      const Sums* out) {
  const int64_t slots = cell->slots, s = sw->species;
  double *g = work, *r = g + 3 * slots, *f = r + slots, *df = f + slots, *p = df + slots;
  for (int64_t i = 0; i < cell->live; i++) {
    const int64_t centre = cell->kind[i], n = near_atom(cell, i, sw->reach + centre * s, g, r, slot);
    double energy = 0.0;
    for (int64_t k = 0; k < n; k++) {
      const int64_t pair = centre * s + cell->kind[cell->index[i * slots + slot[k]]];
      const double gap = 1.0 / (r[k] - sw->reach[pair]), u = 1.0 / r[k], ratio = sw->sigma[pair] * u;
      const double near = sw->core[pair] * whole_power(ratio, sw->p[pair]), far = whole_power(ratio, sw->q[pair]);
      const double e = 0.5 * sw->well[pair] * exp(sw->sigma[pair] * gap);
      const double slope = e * ((far * sw->q[pair] - near * sw->p[pair]) * u - sw->sigma[pair] * gap * gap * (near - far));
      energy += e * (near - far);
      f[k] = exp(sw->decay[pair] * gap);
      df[k] = -sw->decay[pair] * gap * gap * f[k];
      for (int a = 0; a < 3; a++) {
        g[3 * k + a] *= u;  // a unit vector from here on
        p[3 * k + a] = slope * g[3 * k + a];
      }
    }
    for (int64_t k = 0; k < n; k++) {
      const int64_t first = cell->kind[cell->index[i * slots + slot[k]]];
      const double *one = g + 3 * k, per_one = 1.0 / r[k];
      for (int64_t l = 0; l < k; l++) {
        const int64_t second = cell->kind[cell->index[i * slots + slot[l]]];
        const int64_t there = (centre * s + first) * s + second, back = (centre * s + second) * s + first;
        const double *two = g + 3 * l, cosine = one[0] * two[0] + one[1] * two[1] + one[2] * two[2];
        const double a = cosine - sw->cos0[there], b = cosine - sw->cos0[back];
        const double bend = 0.5 * (sw->stiffness[there] * a * a + sw->stiffness[back] * b * b);
        const double turn = (sw->stiffness[there] * a + sw->stiffness[back] * b) * f[k] * f[l], per_two = 1.0 / r[l];
        energy += bend * f[k] * f[l];
        for (int c = 0; c < 3; c++) {
          p[3 * k + c] += bend * df[k] * f[l] * one[c] + turn * (two[c] - cosine * one[c]) * per_one;
          p[3 * l + c] += bend * f[k] * df[l] * two[c] + turn * (one[c] - cosine * two[c]) * per_two;
        }
      }
    }
    out->energy[i] = energy;
    for (int64_t k = 0; k < n; k++)
      for (int a = 0; a < 3; a++) g[3 * k + a] *= r[k];
    push(cell, i, n, slot, g, p, out);
  }
}

// What sums.h needs. The angular energy is 1/2 sum_ab k_ab (T_a:T_b - 2 c_ab v_a.v_b + c_ab^2 s_a s_b) less its diagonal, of the
// moments s = sum f, v = sum f n and T = sum f n n of each species of neighbours: ten sums a species, xx, xy, xz, yy, yz, zz of T.
enum { MOMENTS = 10 };
static const int FIRST_AXIS[6] = {0, 0, 0, 1, 1, 2}, SECOND_AXIS[6] = {0, 1, 2, 1, 2, 2};

typedef struct {
  double f, df, ddf, e, de, dde;  // the angular function; half the pair energy less the diagonal; with derivatives in r
} Radial;

INLINE Radial radial_of(const StillingerWeber* sw, int64_t pair, double diagonal, double r) {
  const double gap = 1.0 / (r - sw->reach[pair]), gap2 = gap * gap, u = 1.0 / r, ratio = sw->sigma[pair] * u;
  const double s = sw->sigma[pair], d = sw->decay[pair], p = sw->p[pair], q = sw->q[pair];
  const double near = sw->core[pair] * whole_power(ratio, p), far = whole_power(ratio, q), n = near - far;
  const double dn = (q * far - p * near) * u, ddn = (p * (p + 1.0) * near - q * (q + 1.0) * far) * u * u;
  const double e = 0.5 * sw->well[pair] * exp(s * gap), de = -s * gap2 * e, dde = (2.0 * s * gap + s * s * gap2) * gap2 * e;
  const double f = exp(d * gap), df = -d * gap2 * f, ddf = (2.0 * d * gap + d * d * gap2) * gap2 * f;
  return (Radial){f, df, ddf, e * n - 0.5 * diagonal * f * f, de * n + e * dn - diagonal * f * df,
                  dde * n + 2.0 * de * dn + e * ddn - diagonal * (df * df + f * ddf)};
}

// own += the second derivatives of h(r) L(g), with L, its gradient and half its second derivatives (or NULL).
INLINE void add_second(double own[6], const double n[3], double u, double h, double dh, double ddh, double value,
                       const double gradient[3], const double* half) {
  const double across = dh * value * u, along = ddh * value - across;
  for (int c = 0; c < 6; c++) {
    const int a = FIRST_AXIS[c], b = SECOND_AXIS[c];
    own[c] += along * n[a] * n[b] + (a == b ? across : 0.0) + dh * (n[a] * gradient[b] + gradient[a] * n[b]);
    if (half) own[c] += 2.0 * h * half[c];
  }
}

// Work: four numbers and a slot a neighbour.
FOR_EVERY_PROCESSOR static void stillinger_weber_factors(const StillingerWeber* sw, const Cell* cell, double* work,
                                                         int64_t* slot, double* factors, double* curvature) {
  const int64_t slots = cell->slots, s = sw->species, sums = MOMENTS * s;
  double *g = work, *r = g + 3 * slots;
  for (int64_t i = 0; i < cell->live; i++) {
    const int64_t centre = cell->kind[i], n = near_atom(cell, i, sw->reach + centre * s, g, r, slot);
    double* row = curvature + i * sums * sums;
    for (int64_t a = 0; a < s; a++)
      for (int64_t b = 0; b < s; b++) {
        const int64_t there = (centre * s + a) * s + b, back = (centre * s + b) * s + a;
        const double k = sw->stiffness[there], l = sw->stiffness[back], c = sw->cos0[there], d = sw->cos0[back];
        double* at = row + MOMENTS * (a * sums + b);
        at[0] = 0.5 * (k * c * c + l * d * d);
        for (int m = 1; m < 4; m++) at[m * (sums + 1)] = -(k * c + l * d);
        for (int m = 0; m < 6; m++) at[(4 + m) * (sums + 1)] = (FIRST_AXIS[m] == SECOND_AXIS[m] ? 0.5 : 1.0) * (k + l);
      }
    double moment[32] = {0}, slope[32] = {0};  // sums is at most MOST_SUMS
    double* at = factors + (3 * sums + 6) * i * slots;
    for (int64_t k = 0; k < n; k++) {
      const int64_t other = cell->kind[cell->index[i * slots + slot[k]]], pair = centre * s + other;
      const Radial h = radial_of(sw, pair, 0.0, r[k]);
      double *m = moment + MOMENTS * other, *first = at + 3 * MOMENTS * other * slots + slot[k];
      const double u = 1.0 / r[k], unit[3] = {g[3 * k] * u, g[3 * k + 1] * u, g[3 * k + 2] * u};
      m[0] += h.f;
      for (int c = 0; c < 3; c++) first[c * slots] = h.df * unit[c];
      for (int a = 0; a < 3; a++) {
        m[1 + a] += h.f * unit[a];
        for (int c = 0; c < 3; c++)
          first[(3 * (1 + a) + c) * slots] = (h.df - h.f * u) * unit[a] * unit[c] + (a == c ? h.f * u : 0.0);
      }
      for (int t = 0; t < 6; t++) {
        const int a = FIRST_AXIS[t], b = SECOND_AXIS[t];
        m[4 + t] += h.f * unit[a] * unit[b];
        for (int c = 0; c < 3; c++)
          first[(3 * (4 + t) + c) * slots] = (h.df - 2.0 * h.f * u) * unit[a] * unit[b] * unit[c] +
                                             h.f * u * ((a == c ? unit[b] : 0.0) + (b == c ? unit[a] : 0.0));
      }
    }
    for (int64_t m = 0; m < sums; m++)
      for (int64_t l = 0; l < sums; l++) slope[m] += row[m * sums + l] * moment[l];
    for (int64_t k = 0; k < n; k++) {
      const int64_t other = cell->kind[cell->index[i * slots + slot[k]]], pair = centre * s + other;
      const int64_t twin = (centre * s + other) * s + other;
      const double less = 1.0 - sw->cos0[twin];
      const Radial h = radial_of(sw, pair, sw->stiffness[twin] * less * less, r[k]);
      const double u = 1.0 / r[k], u2 = u * u, *way = g + 3 * k, *f = slope + MOMENTS * other, *b = f + 1, still[3] = {0};
      const double unit[3] = {way[0] * u, way[1] * u, way[2] * u};
      double half[6], turned[3] = {0}, own[6] = {0};
      for (int t = 0; t < 6; t++) {
        const int x = FIRST_AXIS[t], y = SECOND_AXIS[t];
        half[t] = x == y ? f[4 + t] : 0.5 * f[4 + t];
        turned[x] += 2.0 * half[t] * way[y];
        if (x != y) turned[y] += 2.0 * half[t] * way[x];
      }
      const double line = b[0] * way[0] + b[1] * way[1] + b[2] * way[2];
      const double form = 0.5 * (turned[0] * way[0] + turned[1] * way[1] + turned[2] * way[2]);
      add_second(own, unit, u, 1.0, h.de + h.df * f[0], h.dde + h.ddf * f[0], 1.0, still, NULL);
      add_second(own, unit, u, h.f * u, (h.df - h.f * u) * u, (h.ddf - 2.0 * (h.df - h.f * u) * u) * u, line, b, NULL);
      add_second(own, unit, u, h.f * u2, (h.df - 2.0 * h.f * u) * u2, (h.ddf - 4.0 * h.df * u + 6.0 * h.f * u2) * u2, form,
                 turned, half);
      for (int t = 0; t < 6; t++) at[(3 * sums + t) * slots + slot[k]] = own[t];
    }
  }
}

#endif
