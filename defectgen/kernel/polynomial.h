// V = sum_p w_p prod A as a graph: node 0 is 1, every other node is a parent times one factor, and the terms of a node are
// its products with one more factor. A monomial then costs two multiplications and additions, slopes included.
#ifndef DEFECTGEN_POLYNOMIAL_H
#define DEFECTGEN_POLYNOMIAL_H

#include "lanes.h"
#include "program.h"

// V (returned) and dV/dA, with the products and the slopes of the nodes, which the second derivative wants.
INLINE lanes polynomial(const Graph* graph, const double* weight, const lanes* a, lanes* da, lanes* product, lanes* slope) {
  lanes total = all(0.0);
  product[0] = all(1.0);
  for (int i = 1; i < graph->nodes; i++) product[i] = product[graph->parent[i]] * a[graph->factor[i]];
  for (int v = 0; v < graph->factors; v++) da[v] = all(0.0);
  for (int i = 0; i < graph->nodes; i++) {
    lanes sum = all(0.0);
    const lanes here = product[i];
    for (int e = graph->start[i]; e < graph->start[i + 1]; e++) {
      const int v = graph->other[e];
      sum += weight[e] * a[v];
      da[v] += weight[e] * here;
    }
    slope[i] = sum;
    total += sum * here;
  }
  for (int i = graph->nodes - 1; i > 0; i--) {
    slope[graph->parent[i]] += slope[i] * a[graph->factor[i]];
    da[graph->factor[i]] += slope[i] * product[graph->parent[i]];
  }
  return total;
}

// The change of dV/dA as A changes.
INLINE void polynomial_along(const Graph* graph, const double* weight, const lanes* a, const lanes* change, const lanes* product,
                             const lanes* slope, lanes* da, lanes* d_product, lanes* d_slope) {
  d_product[0] = all(0.0);
  for (int i = 1; i < graph->nodes; i++) {
    const int p = graph->parent[i], v = graph->factor[i];
    d_product[i] = d_product[p] * a[v] + product[p] * change[v];
  }
  for (int v = 0; v < graph->factors; v++) da[v] = all(0.0);
  for (int i = 0; i < graph->nodes; i++) {
    lanes sum = all(0.0);
    const lanes here = d_product[i];
    for (int e = graph->start[i]; e < graph->start[i + 1]; e++) {
      const int v = graph->other[e];
      sum += weight[e] * change[v];
      da[v] += weight[e] * here;
    }
    d_slope[i] = sum;
  }
  for (int i = graph->nodes - 1; i > 0; i--) {
    const int p = graph->parent[i], v = graph->factor[i];
    d_slope[p] += d_slope[i] * a[v] + slope[i] * change[v];
    da[v] += d_slope[i] * product[p] + slope[i] * d_product[p];
  }
}

#endif
