// The factors of one-particle functions: radial functions R_n(r) and harmonics Q_l^|m|(z) c_m(x, y), with their derivatives.
//
// The formulas are those of defectgen/ace/radial.py and harmonics.py. Harmonics carry no constants here: these are in the
// weights of the polynomial.
#ifndef DEFECTGEN_ONE_PARTICLE_H
#define DEFECTGEN_ONE_PARTICLE_H

#include "lanes.h"
#include "program.h"

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

// R_n, dR_n/dr and, with order 2, d2R_n/dr2, n = 0 .. padded - 1, of PAIR neighbours, whose chains of multiplications run side by
// side; lanes that are not live have none. One division serves for all.
enum { PAIR = 2 };

INLINE void radial_functions(const Shape* shape, const Transform* transform, const lanes* r, const lanes* live, int order,
                             lanes* value, lanes* slope, lanes* bend) {
  const double q = shape->outer, r0 = transform->r0, scale = transform->scale, per_r0 = 1 / r0;
  const int e = shape->outer - shape->inner, n = shape->envelope, padded = shape->padded;
  const double norm = sqrt(2.0 * n + 1.0);
  lanes t[PAIR], dt[PAIR], ddt[PAIR], v[2][PAIR], dv[2][PAIR], ddv[2][PAIR];  // the last two functions
  for (int k = 0; k < PAIR; k++) {
    const lanes s = r[k] * per_r0, up = power(s, e), d = 1 + up, au = transform->a * power(s, shape->outer), sum = d + au;
    const lanes all_of = 1 / (s * d * sum);  // 1/s, 1/(1 + s^e) and x = 1/(1 + u) from one division
    const lanes per_s = all_of * d * sum, per_d = all_of * s * sum, x = all_of * s * d * d;
    const lanes u = au * per_d, grow = e * up * per_s * per_d;  // D'/D for D = 1 + s^e
    const lanes h = q * per_s - grow, du = u * h;               // h = u'/u
    const lanes y = live[k] * (x - transform->end) * scale, dy = -live[k] * du * x * x * (scale * per_r0);
    const lanes low = norm * power(y, n - 2), high = low * y;
    t[k] = 2 * y - 1, dt[k] = 2 * dy, ddt[k] = all(0.0);
    v[0][k] = high * y, dv[0][k] = n * high * dy, ddv[0][k] = v[1][k] = dv[1][k] = ddv[1][k] = all(0.0);
    if (order > 1) {
      const lanes dh = -q * per_s * per_s - (e - 1) * grow * per_s + grow * grow;
      const lanes ddu = u * (h * h + dh);
      const lanes ddy = live[k] * (2 * du * du * x - ddu) * x * x * (scale * per_r0 * per_r0);
      ddt[k] = 2 * ddy;
      ddv[0][k] = n * ((n - 1) * low * dy * dy + high * ddy);
    }
    value[k * padded] = v[0][k], slope[k * padded] = dv[0][k];
    if (order > 1) bend[k * padded] = ddv[0][k];
  }
  for (int m = 1; m < shape->count; m++) {
    const double* row = shape->recursion + 3 * (m - 1);
    for (int k = 0; k < PAIR; k++) {
      const lanes factor = row[0] * t[k] + row[1], rise = row[0] * dt[k];
      const lanes now = factor * v[0][k] - row[2] * v[1][k];
      const lanes d_now = factor * dv[0][k] + (rise * v[0][k] - row[2] * dv[1][k]);
      if (order > 1) {
        const lanes dd_now = factor * ddv[0][k] + (2 * rise * dv[0][k] + (row[0] * ddt[k] * v[0][k] - row[2] * ddv[1][k]));
        ddv[1][k] = ddv[0][k], ddv[0][k] = dd_now;
        bend[k * padded + m] = dd_now;
      }
      v[1][k] = v[0][k], v[0][k] = now, dv[1][k] = dv[0][k], dv[0][k] = d_now;
      value[k * padded + m] = now, slope[k * padded + m] = d_now;
    }
  }
  for (int k = 0; k < PAIR; k++)
    for (int m = shape->count; m < padded; m++) {
      value[k * padded + m] = slope[k * padded + m] = all(0.0);
      if (order > 1) bend[k * padded + m] = all(0.0);
    }
}

// The factors of the recursion of Q_l^m in l, in the order in which `angular_functions` takes them.
static void recursion_of_harmonics(const Shape* shape, double* factor) {
  for (int m = 0; m <= shape->max_l; m++)
    for (int l = m + 1; l <= shape->max_l; l++) {
      *factor++ = (2 * l - 1.0) / (l - m);
      *factor++ = (l + m - 1.0) / (l - m);
    }
}

// c_m and s_m (both with entries 0 .. max_l), and Q_l^m.
INLINE void angular_functions(const Shape* shape, const double* factor, const lanes unit[3], lanes* c, lanes* s, lanes* q) {
  c[0] = all(1.0), s[0] = all(0.0);
  for (int m = 0; m < shape->max_l; m++) {
    c[m + 1] = unit[0] * c[m] - unit[1] * s[m];
    s[m + 1] = unit[0] * s[m] + unit[1] * c[m];
  }
  double first = 1.0;
  for (int m = 0; m <= shape->max_l; m++) {
    lanes before = all(0.0), last = all(first);
    q[m * (m + 1) / 2 + m] = last;
    for (int l = m + 1; l <= shape->max_l; l++, factor += 2) {
      const lanes next = factor[0] * unit[2] * last - factor[1] * before;
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
