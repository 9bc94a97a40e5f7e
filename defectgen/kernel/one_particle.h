// The factors of one-particle functions: radial functions R_n(r) and harmonics Q_l^|m|(z) c_m(x, y), with their derivatives.
//
// The formulas are those of defectgen/ace/radial.py and harmonics.py. Harmonics carry no constants here: these are in the
// weights of the polynomial.
#ifndef DEFECTGEN_ONE_PARTICLE_H
#define DEFECTGEN_ONE_PARTICLE_H

#include "lanes.h"

enum { MAX_L = 24 };  // highest angular momentum, see HIGHEST_L in __init__.py

typedef struct {
  int count;   // radial functions
  int padded;  // the same, up to a multiple of 4
  int envelope, inner, outer;
  int max_l;     // highest angular momentum
  int harmonics;  // (max_l + 1)^2
  int legendre;   // (max_l + 1)(max_l + 2)/2: place l(l+1)/2 + m of Q_l^m
  double cutoff;
  const double* recursion;  // (count - 1, 3): a, b, c of R_n+1 = (a t + b) R_n - c R_n-1
} Shape;

// The transform of distances between two species: x(r) = 1 / (1 + a s^q / (1 + s^e)), s = r / r0, and y = (x - end) scale.
typedef struct {
  double r0, a, end, scale;
} Transform;

static Transform transform_of(const Shape* shape, double r0) {
  const double p = shape->inner, q = shape->outer, s = shape->cutoff / r0;
  const double steep = q - (q - p) / 2, curved = -q - (q - p) * (q - p - 2) / 4;
  const double a = 2 * (steep * steep + curved) / (steep * steep - curved);
  const double end = 1 / (1 + a * pow(s, q) / (1 + pow(s, q - p)));
  return (Transform){r0, a, end, 1 / (1 - end)};
}

// R_n, dR_n/dr and, with order 2, d2R_n/dr2, n = 0 .. padded - 1; lanes that are not live have none.
INLINE void radial_functions(const Shape* shape, const Transform* transform, lanes r, lanes live, int order, lanes* value,
                             lanes* slope, lanes* bend) {
  const double q = shape->outer, r0 = transform->r0, scale = transform->scale;
  const int e = shape->outer - shape->inner;
  const lanes s = r / r0, up = power(s, e);
  const lanes u = transform->a * power(s, shape->outer) / (1 + up);
  const lanes grow = e * up / (s * (1 + up));  // D'/D for D = 1 + s^e
  const lanes h = q / s - grow;                // u'/u
  const lanes x = 1 / (1 + u), du = u * h;
  const lanes y = live * (x - transform->end) * scale;
  const lanes dy = -live * du * x * x * (scale / r0);

  const int n = shape->envelope;
  const double norm = sqrt(2.0 * n + 1.0);
  const lanes t = 2 * y - 1, dt = 2 * dy, low = norm * power(y, n - 2);
  const lanes high = low * y;
  value[0] = high * y;
  slope[0] = n * high * dy;
  lanes ddy = all(0.0), ddt = ddy;
  if (order > 1) {
    const lanes dh = -q / (s * s) - (e - 1) * grow / s + grow * grow;
    const lanes ddu = u * (h * h + dh);
    ddy = live * (2 * du * du * x - ddu) * x * x * (scale / (r0 * r0));
    ddt = 2 * ddy;
    bend[0] = n * ((n - 1) * low * dy * dy + high * ddy);
  }
  for (int k = 0; k + 1 < shape->count; k++) {
    const double* row = shape->recursion + 3 * k;
    const lanes factor = row[0] * t + row[1];
    value[k + 1] = factor * value[k];
    slope[k + 1] = factor * slope[k] + row[0] * dt * value[k];
    if (order > 1) bend[k + 1] = factor * bend[k] + 2 * row[0] * dt * slope[k] + row[0] * ddt * value[k];
    if (k > 0) {
      value[k + 1] -= row[2] * value[k - 1];
      slope[k + 1] -= row[2] * slope[k - 1];
      if (order > 1) bend[k + 1] -= row[2] * bend[k - 1];
    }
  }
  for (int k = shape->count; k < shape->padded; k++) {
    value[k] = slope[k] = all(0.0);
    if (order > 1) bend[k] = all(0.0);
  }
}

// c_m and s_m (both with entries 0 .. max_l), and Q_l^m.
INLINE void angular_functions(const Shape* shape, const lanes unit[3], lanes* c, lanes* s, lanes* q) {
  c[0] = all(1.0), s[0] = all(0.0);
  for (int m = 0; m < shape->max_l; m++) {
    c[m + 1] = unit[0] * c[m] - unit[1] * s[m];
    s[m + 1] = unit[0] * s[m] + unit[1] * c[m];
  }
  double first = 1.0;
  for (int m = 0; m <= shape->max_l; m++) {
    lanes before = all(0.0), last = all(first);
    q[m * (m + 1) / 2 + m] = last;
    for (int l = m + 1; l <= shape->max_l; l++) {
      const lanes next = ((2 * l - 1.0) / (l - m)) * unit[2] * last - ((l + m - 1.0) / (l - m)) * before;
      before = last, last = next;
      q[l * (l + 1) / 2 + m] = next;
    }
    first *= 2 * m + 1;
  }
}

// Q_l^|m| c_m in row l*l + l + m.
INLINE void harmonics(const Shape* shape, const lanes* c, const lanes* s, const lanes* q, lanes* values) {
  for (int l = 0; l <= shape->max_l; l++) {
    lanes* row = values + l * l + l;
    const lanes* ql = q + l * (l + 1) / 2;
    row[0] = ql[0];
    for (int m = 1; m <= l; m++) row[m] = ql[m] * c[m], row[-m] = ql[m] * s[m];
  }
}

// Their change along a direction d.
INLINE void harmonics_along(const Shape* shape, const lanes* c, const lanes* s, const lanes* q, const lanes d[3], lanes* values) {
  for (int l = 0; l <= shape->max_l; l++) {
    lanes* row = values + l * l + l;
    const lanes* ql = q + l * (l + 1) / 2;
    row[0] = l > 0 ? ql[1] * d[2] : all(0.0);
    for (int m = 1; m <= l; m++) {
      const lanes dc = m * (c[m - 1] * d[0] - s[m - 1] * d[1]), ds = m * (s[m - 1] * d[0] + c[m - 1] * d[1]);
      row[m] = ql[m] * dc, row[-m] = ql[m] * ds;
      if (m < l) row[m] += ql[m + 1] * d[2] * c[m], row[-m] += ql[m + 1] * d[2] * s[m];
    }
  }
}

// S = sum_lm w_lm Y_lm by its sums over l, of w_lm and Q_l^(|m| + up), for every m and -m: its derivatives are sums over m alone.
typedef struct {
  const lanes *c, *s;
  lanes even[3][MAX_L + 1], odd[3][MAX_L + 1];  // for up = 0, 1 and 2
} Weighted;

// With what derivatives up to an order want.
INLINE void weighted(const Shape* shape, const lanes* weight, const lanes* c, const lanes* s, const lanes* q, int order,
                     Weighted* sum) {
  sum->c = c, sum->s = s;
  for (int up = 0; up <= order; up++) {
    lanes *even = sum->even[up], *odd = sum->odd[up];
    for (int m = 0; m <= shape->max_l; m++) even[m] = odd[m] = all(0.0);
    for (int l = up; l <= shape->max_l; l++) {
      const lanes *w = weight + l * l + l, *ql = q + l * (l + 1) / 2 + up;
      even[0] += w[0] * ql[0];
      for (int m = 1; m + up <= l; m++) even[m] += w[m] * ql[m], odd[m] += w[-m] * ql[m];
    }
  }
}

// Differentiated `up` times in z, and `times` times in x; or all but once of these in x and once in y.
INLINE void derived(const Shape* shape, const Weighted* sum, int up, int times, lanes* in_x, lanes* in_y) {
  const lanes *even = sum->even[up], *odd = sum->odd[up], *c = sum->c, *s = sum->s;
  lanes first = all(0.0), second = all(0.0);
  for (int m = times; m <= shape->max_l; m++) {
    const double many = times == 0 ? 1 : times == 1 ? m : m * (m - 1.0);
    first += many * (even[m] * c[m - times] + odd[m] * s[m - times]);
    second += many * (odd[m] * c[m - times] - even[m] * s[m - times]);
  }
  *in_x = first;
  if (in_y) *in_y = second;
}

INLINE lanes value_of(const Shape* shape, const Weighted* sum) {
  lanes value;
  derived(shape, sum, 0, 0, &value, NULL);
  return value;
}

// In x, y and z.
INLINE void slope_of(const Shape* shape, const Weighted* sum, lanes slope[3]) {
  derived(shape, sum, 0, 1, &slope[0], &slope[1]);
  derived(shape, sum, 1, 0, &slope[2], NULL);
}

// In xx (= -yy), zz, yz, xz and xy.
INLINE void curvature_of(const Shape* shape, const Weighted* sum, lanes curvature[5]) {
  derived(shape, sum, 0, 2, &curvature[0], &curvature[4]);
  derived(shape, sum, 1, 1, &curvature[3], &curvature[2]);
  derived(shape, sum, 2, 0, &curvature[1], NULL);
}

#endif
